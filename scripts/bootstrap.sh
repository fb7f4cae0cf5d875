#!/usr/bin/env bash
# Builds .venv from requirements.lock. Everything it writes stays inside the checkout.
# An unchanged lock makes it return at once; `make clean-env` starts over.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
cache=$root/.cache
stamp=$root/.venv/.locked
wanted=$(cat requirements.lock pyproject.toml scripts/bootstrap.sh | sha256sum)

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then exit 0; fi

say() { printf '%s\n' "$*" >&2; }
mkdir -p "$cache"
export UV_CACHE_DIR=$cache/uv UV_PYTHON_INSTALL_DIR=$cache/python UV_PYTHON_BIN_DIR=$cache/python/bin
export UV_PYTHON_INSTALL_BIN=0 UV_NO_CONFIG=1 UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}
export PIP_CACHE_DIR=$cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1

# uv may come from the user; else it is installed in a private environment of the checkout.
find_uv() {
  if command -v uv >/dev/null 2>&1; then command -v uv; return; fi
  local own=$cache/bootstrap/bin/uv
  if ! [ -x "$own" ]; then
    say "Installing uv into .cache/bootstrap ..."
    if python3 -m venv "$cache/bootstrap" >/dev/null 2>&1; then
      "$cache/bootstrap/bin/python" -m pip install --quiet uv >&2
    elif rm -rf "$cache/bootstrap"; python3 -m pip --version >/dev/null 2>&1; then
      # Debian ships python3 without ensurepip: pip alone is enough.
      python3 -m pip install --quiet --target "$cache/bootstrap" uv >&2
    else
      say "Expected python3 with venv or pip, or uv on PATH: found neither. Install python3-venv, or uv, and run this again."
      return 1
    fi
  fi
  printf '%s\n' "$own"
}

# The first interpreter that really is CPython 3.10 (a pyenv shim exists even where it cannot run).
find_python() {
  local candidate
  for candidate in "${PYTHON310:-}" python3.10 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10*/bin/python3.10 /opt/python/3.10*/bin/python3.10; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys, ssl, sqlite3; sys.exit(sys.version_info[:2] != (3, 10))' >/dev/null 2>&1; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  printf '3.10\n' # uv downloads one into .cache/python
}

uv=$(find_uv)
python=$(find_python)
say "Creating .venv with $python and the locked dependencies (about 2 GB, a few minutes the first time) ..."
rm -rf .venv
"$uv" venv --quiet --python "$python" .venv
"$uv" pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
# setuptools and wheel are locked, so the project itself is built without fetching anything.
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
printf '%s' "$wanted" >"$stamp"
say "Environment ready: .venv"
