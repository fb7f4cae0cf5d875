# Sourced by bootstrap.sh: defines choose_generation, which sets `generation` and `python`, and prints why in one line.
#
# tfx 1.21 is taken where it runs: its wheels of ml-metadata and tensorflow-data-validation are tagged for glibc 2.39. Elsewhere
# it is tfx 1.16. Both pin pyfarmhash, which has no wheel and is compiled. TFX=1.16 or TFX=1.21 decides instead; so does PYTHON.

# interpreters VERSION...: every one that really is CPython of one of these versions (a pyenv shim exists even where it cannot
# run). PYTHON decides where it is set.
interpreters() {
  local version candidate
  for version in "$@"; do
    for candidate in "python$version" python3 "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
      candidate=${PYTHON:-$candidate}
      if "$candidate" -c "import sys, ssl, sqlite3; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" >/dev/null 2>&1
      then
        "$candidate" -c 'import sys; print(sys.executable)'
      fi
      [ -z "${PYTHON:-}" ] || break
    done
  done
}

# The first of them that has what pyfarmhash is built with.
with_headers() {
  local candidate
  while read -r candidate; do
    # What comes from a variable has a last line, which is empty where nothing was found.
    if [ -n "$candidate" ] && "$candidate" -c 'import os, sysconfig as s, sys; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))'; then
      echo "$candidate"
      return
    fi
  done
}

# Why tfx 1.21 does not run here; nothing where it does. Sets current_python.
why_not_current() {
  local glibc found
  glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2) || true
  found=$(interpreters 3.13 3.12 3.11)
  current_python=$(with_headers <<<"$found")
  if [ -z "$glibc" ]; then
    echo "it needs glibc 2.39, and this system has no glibc"
  elif [ "$(printf '%s\n' 2.39 "$glibc" | sort -V | head -1)" != 2.39 ]; then
    echo "it needs glibc 2.39 (Debian 13, Ubuntu 24.04), and this system has $glibc"
  elif [ -z "$found" ] && [ -n "${PYTHON:-}" ]; then
    echo "it needs a Python of 3.11 to 3.13, and PYTHON names another"
  elif [ -z "$found" ]; then
    echo "it needs a Python of 3.11 to 3.13, and none is here (install python3, or name one in PYTHON)"
  elif [ -z "$current_python" ]; then
    echo "it needs Python.h, to build pyfarmhash (install python3-dev)"
  fi
}

choose_generation() {
  local why
  if ! command -v c++ >/dev/null 2>&1; then
    say "There is no C++ compiler here. pyfarmhash, which every generation of TFX needs, has no wheel and is built with one:" \
      "install g++, and run this again."
    return 1
  elif [ -n "${PYTHON:-}" ] && [ -z "$(interpreters 3.13 3.12 3.11 3.10)" ]; then
    say "PYTHON=$PYTHON is no Python of 3.10 to 3.13 with ssl and sqlite3. Name another, or leave PYTHON unset."
    return 1
  fi
  case "${TFX:-}" in
    1.16) why="as TFX says" ;;
    1.21 | "")
      current_python=
      why_not_current >"$cache/why"
      why=$(<"$cache/why")
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
  python=$(interpreters 3.10 | with_headers)
  if [ -z "$python" ] && [ -n "${PYTHON:-}" ]; then
    say "tfx 1.16 needs Python 3.10 with Python.h, and PYTHON=$PYTHON is not that. Name another, or leave PYTHON unset."
    return 1
  fi
  # Where there is none, uv downloads one into .cache/python.
  python=${python:-3.10}
  if [ -n "${TFX:-}" ]; then
    say "tfx 1.16 with Python ($python), as TFX says."
  else
    say "tfx 1.16 with Python ($python), not 1.21: $why."
  fi
}
