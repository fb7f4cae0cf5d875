#!/usr/bin/env bash
# Resolves pyproject.toml into a lock for each generation of TFX, and of it what an image needs: exact versions with
# hashes, no download addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
export UV_CACHE_DIR=$PWD/.cache/uv UV_NO_CONFIG=1
. scripts/find_uv.sh
uv=$(find_uv)

# lock VERSION PYTHON: --universal, because one lock serves Python 3.11 to 3.13.
lock() {
  local version=$1 compile
  printf 'tfx==%s.*\n' "$version" >.cache/constraints.txt
  compile=("$uv" pip compile pyproject.toml --overrides scripts/overrides.txt --constraints .cache/constraints.txt
    --generate-hashes --python-version "$2" --no-emit-index-url --no-header --quiet "${@:3}")
  "${compile[@]}" --extra dev --output-file "locks/tfx-$version.lock"
  "${compile[@]}" scripts/image.in --overrides scripts/overrides-image.txt --extra kubeflow --extra postgresql \
    --constraints "locks/tfx-$version.lock" --no-annotate --output-file "locks/tfx-$version-image.lock"
}
lock 1.16 3.10
lock 1.21 3.11 --universal
