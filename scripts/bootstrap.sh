#!/usr/bin/env bash
# Builds .venv from requirements.lock. Everything it writes stays inside the checkout.
# An unchanged lock makes it return at once; `make clean-env` starts over.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=.venv/.locked
wanted=$(cat requirements.lock pyproject.toml scripts/*.sh | sha256sum)
# The path too: a moved checkout needs a new environment, because scripts in .venv hold its path.
wanted="$wanted $PWD"

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then exit 0; fi

cache=$PWD/.cache
mkdir -p "$cache"
export UV_CACHE_DIR=$cache/uv UV_PYTHON_INSTALL_DIR=$cache/python UV_PYTHON_INSTALL_BIN=0
export UV_NO_CONFIG=1 UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}
export PIP_CACHE_DIR=$cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1
. scripts/find_uv.sh

# The first interpreter that really is CPython 3.10 (a pyenv shim exists even where it cannot run).
find_python() {
  local candidate
  for candidate in "${PYTHON310:-}" python3.10 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10*/bin/python3.10; do
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
say "Creating .venv with Python $python and the locked dependencies (3 GB, a few minutes the first time) ..."
rm -rf .venv
"$uv" venv --quiet --python "$python" .venv
"$uv" pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
# setuptools and wheel are locked, so the project itself is built without fetching anything.
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
printf '%s' "$wanted" >"$stamp"
say "Environment ready: .venv"
