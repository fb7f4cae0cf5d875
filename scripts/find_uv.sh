# Sourced by the scripts beside it: defines find_uv, which prints the path of a uv.
# uv may come from the user; else it is installed in a private environment of the checkout.

say() { printf '%s\n' "$*" >&2; }

find_uv() {
  if command -v uv >/dev/null 2>&1; then command -v uv; return; fi
  local folder=$PWD/.cache/bootstrap
  local own=$folder/bin/uv
  if ! [ -x "$own" ]; then
    say "Installing uv into .cache/bootstrap ..."
    if python3 -m venv "$folder" >/dev/null 2>&1; then
      "$folder/bin/python" -m pip install --quiet uv >&2
    elif rm -rf "$folder"; python3 -m pip --version >/dev/null 2>&1; then
      # Debian ships python3 without ensurepip: pip alone is enough.
      python3 -m pip install --quiet --target "$folder" uv >&2
    else
      say "Expected python3 with venv or pip, or uv on PATH: found neither. Install python3-venv, or uv, and run this again."
      return 1
    fi
  fi
  printf '%s\n' "$own"
}
