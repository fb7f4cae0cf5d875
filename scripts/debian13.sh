#!/usr/bin/env bash
# Runs a command on a copy of this checkout in a Debian 13 root, where tfx 1.21 runs: for hosts whose own system is older.
#
#   scripts/debian13.sh make test-generation
#
# The root is made once, in .cache/debian13, from the mirror that this host's own packages come from. It needs root's
# rights, debootstrap and a new mount namespace; where one of these is missing it says which.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD/.cache/debian13
unavailable() { printf 'tfx 1.21 is not tried here: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || unavailable "a Debian 13 root is made by root, and this is user $(id -un)."
command -v debootstrap >/dev/null || unavailable "debootstrap is not installed (package debootstrap)."
unshare --mount true 2>/dev/null || unavailable "this process may not make a mount namespace."

# One run at a time: each begins by taking the files of the one before away.
mkdir -p .cache
exec 9>"$root.lock"
flock --nonblock 9 || unavailable "another run is in the Debian 13 root; wait for it."

if ! [ -f "$root/.made" ]; then
  echo "Making a Debian 13 root in .cache/debian13 ..." >&2
  mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null \
    | awk '$1 == "Debian" && $2 !~ /security/ { print $2; exit }')
  [ -n "$mirror" ] || unavailable "apt knows no mirror of Debian's packages."
  rm -rf "$root"
  mkdir -p "$root"
  # A compiler and Python.h: pyfarmhash, which TFX pins, has no wheel.
  debootstrap --variant=minbase \
    --include=python3,python3-venv,python3-pip,python3-dev,g++,ca-certificates,git,make,procps \
    trixie "$root" "$mirror" >"$root.log" 2>&1 || { tail -5 "$root.log" >&2; unavailable "debootstrap failed."; }
  touch "$root/.made"
fi

# The files that git knows or would take. The root's own environment and cache stay; what was deleted here goes there too.
mkdir -p "$root/checkout"
find "$root/checkout" -mindepth 1 -maxdepth 1 ! -name .venv ! -name .cache -exec rm -rf {} +
git ls-files --cached --others --exclude-standard -z \
  | while IFS= read -r -d '' file; do if [ -e "$file" ] || [ -L "$file" ]; then printf '%s\0' "$file"; fi; done \
  | tar --null -cf - -T - | tar -xf - -C "$root/checkout"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null || true

# Mounts end with the namespace. Nothing of the host's Pythons is seen; what names certificates and proxies is.
exec unshare --mount --fork bash -c '
  set -e
  root=$1; shift
  mount --bind /proc "$root/proc"
  mount --rbind /dev "$root/dev"
  exec chroot "$root" /usr/bin/env -u PYENV_ROOT -u PYTHONPATH -u PIP_FIND_LINKS -u TMPDIR -u VIRTUAL_ENV -u TFX -u PYTHON \
    HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin bash -c "cd /checkout && exec \"\$@\"" _ "$@"
' _ "$root" "$@"
