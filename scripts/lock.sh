#!/usr/bin/env bash
# Resolves pyproject.toml into requirements.lock: exact versions with hashes, no download addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
export UV_CACHE_DIR=$PWD/.cache/uv UV_NO_CONFIG=1
. scripts/find_uv.sh
"$(find_uv)" pip compile pyproject.toml --extra dev --overrides scripts/overrides.txt --generate-hashes --python-version 3.10 \
  --no-emit-index-url --no-header --quiet --output-file requirements.lock "$@"
