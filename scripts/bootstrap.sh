#!/usr/bin/env bash
# Builds .venv from the lock of the generation of TFX that this system can run. Everything it writes stays inside the
# checkout. An unchanged lock makes it return at once; `make clean-env` starts over.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$PWD/.cache
mkdir -p "$cache"
stamp=.venv/.locked
# The path too: a moved checkout needs a new environment, because scripts in .venv hold its path. What TFX and PYTHON name is
# part of the choice.
wanted="$(cat locks/*.lock pyproject.toml scripts/*.sh | sha256sum) $PWD TFX=${TFX:-} PYTHON=${PYTHON:-}"

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then exit 0; fi

export UV_CACHE_DIR=$cache/uv UV_PYTHON_INSTALL_DIR=$cache/python UV_PYTHON_INSTALL_BIN=0
export UV_NO_CONFIG=1 UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}
export PIP_CACHE_DIR=$cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1
. scripts/find_uv.sh
. scripts/generation.sh

choose_generation
uv=$(find_uv)
say "Creating .venv with the locked dependencies (3 GB, a few minutes the first time) ..."
rm -rf .venv
# A bare version: no interpreter here will do, so that uv must not find the same one again.
[ "$python" != 3.10 ] || export UV_PYTHON_PREFERENCE=only-managed
if ! "$uv" venv --quiet --python "$python" .venv; then
  say "There is no Python for tfx $generation here, and none could be downloaded. Install Python 3.10 for tfx 1.16; or, where" \
    "glibc is 2.39 or newer, Python 3.11 to 3.13 with python3-dev and g++ for tfx 1.21."
  exit 1
fi
# What has no wheel is built by the lock's own setuptools and wheel: nothing without a hash runs, and nothing more is fetched.
lock=locks/tfx-$generation.lock
awk '/^[^ #]/ { wanted = /^(setuptools|wheel)==/ } wanted' "$lock" >"$cache/build-tools.txt"
install=("$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation)
"${install[@]}" --require-hashes -r "$cache/build-tools.txt"
"$uv" pip sync --quiet --python .venv/bin/python --no-build-isolation --require-hashes "$lock"
"${install[@]}" --editable .
printf '%s' "$wanted" >"$stamp"
say "Environment ready: .venv"
