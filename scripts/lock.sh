#!/usr/bin/env bash
# Resolves pyproject.toml into requirements.lock, and of it what an image needs into requirements-image.lock: exact
# versions with hashes, no download addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
export UV_CACHE_DIR=$PWD/.cache/uv UV_NO_CONFIG=1
. scripts/find_uv.sh
uv=$(find_uv)
compile=("$uv" pip compile pyproject.toml --overrides scripts/overrides.txt --generate-hashes --python-version 3.10
  --no-emit-index-url --no-header --quiet)
"${compile[@]}" --extra dev --output-file requirements.lock "$@"
"${compile[@]}" scripts/image.in --overrides scripts/overrides-image.txt --extra kubeflow --extra postgresql --constraints requirements.lock --no-annotate \
  --output-file requirements-image.lock
