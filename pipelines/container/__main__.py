"""`python -m tfx_privacy.pipelines.container`: the entrypoint of every step of a compiled pipeline."""

import sys

from tfx_privacy.pipelines.container import entrypoint

if __name__ == "__main__":
    entrypoint.start(sys.argv[1:])
