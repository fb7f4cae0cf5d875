# Sourced by bootstrap.sh: defines choose_generation, which sets `generation` and `python`, and prints why in one line.
#
# tfx 1.21 is taken where it runs: its wheels of ml-metadata and tensorflow-data-validation are tagged for glibc 2.39, and
# pyfarmhash, which it pins, has none and must be compiled. Elsewhere it is tfx 1.16. TFX=1.16 or TFX=1.21 decides instead.

# find_python VERSION...: the first interpreter that really is CPython of one of these versions (a pyenv shim exists even
# where it cannot run). PYTHON may name one.
find_python() {
  local version candidate
  for version in "$@"; do
    for candidate in "${PYTHON:-}" "python$version" python3 "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
      [ -n "$candidate" ] || continue
      if "$candidate" -c "import sys, ssl, sqlite3; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" >/dev/null 2>&1
      then
        "$candidate" -c 'import sys; print(sys.executable)'
        return
      fi
    done
  done
  return 1
}

has_headers() { "$1" -c 'import os, sysconfig as s, sys; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))'; }

# Why tfx 1.21 does not run here; nothing where it does. Sets current_python.
why_not_current() {
  local glibc
  glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2) || true
  if [ -z "$glibc" ]; then
    echo "it needs glibc 2.39, and this system has no glibc"
  elif [ "$(printf '%s\n' 2.39 "$glibc" | sort -V | head -1)" != 2.39 ]; then
    echo "it needs glibc 2.39 (Debian 13, Ubuntu 24.04), and this system has $glibc"
  elif ! current_python=$(find_python 3.13 3.12 3.11); then
    echo "it needs a Python of 3.11 to 3.13, and none is here (install python3, or name one in PYTHON)"
  elif ! command -v c++ >/dev/null 2>&1 || ! has_headers "$current_python"; then
    echo "it needs a C++ compiler and Python.h, to build pyfarmhash (install g++ and python3-dev)"
  fi
}

choose_generation() {
  local why
  case "${TFX:-}" in
    1.16) why="as TFX says" ;;
    1.21 | "")
      current_python=
      why_not_current >"$cache/why"
      why=$(cat "$cache/why")
      if [ -z "$why" ]; then
        generation=1.21 python=$current_python
        say "tfx 1.21 with Python ($python): this system can run it."
        return
      elif [ -n "${TFX:-}" ]; then
        say "TFX=1.21 was asked for, but $why. Install that, or leave TFX unset to take what this system can run."
        return 1
      fi
      ;;
    *)
      say "TFX=$TFX is no generation of TFX that this package knows. Set TFX=1.16 or TFX=1.21, or leave it unset."
      return 1
      ;;
  esac
  generation=1.16
  # Where there is none, uv downloads one into .cache/python.
  python=$(find_python 3.10) || python=3.10
  if [ -n "${TFX:-}" ]; then
    say "tfx 1.16 with Python ($python), as TFX says."
  else
    say "tfx 1.16 with Python ($python), not 1.21: $why."
  fi
}
