"""One variant in a separate process, asked over stdin, answering over stdout, a JSON object per line.

Started by `benchmarks.processes.Worker`; runs under any Python that has the variant's packages.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any, TextIO

from benchmarks import variants

_KILOBYTE = 1024


class Session:
    """The requests a worker understands; each method is one."""

    def __init__(self) -> None:
        self._step: variants.PreparedStep | None = None

    def confine(self, *, core: int, memory_limit_bytes: int) -> dict[str, Any]:
        """Pins the process and limits its memory; comes before any framework counts the processors."""
        os.sched_setaffinity(0, {core})
        resource.setrlimit(resource.RLIMIT_DATA, (memory_limit_bytes, memory_limit_bytes))
        return {}

    def prepare(self, *, variant: str, setting: dict[str, Any]) -> dict[str, Any]:
        """Builds the step without running it."""
        self._step = variants.prepare(variant, variants.Setting(**setting))
        versions = variants.versions(variant)
        return {"num_parameters": self._step.num_parameters, "note": self._step.note, "versions": versions}

    def run(self, *, steps: int) -> dict[str, Any]:
        """Runs steps: processor seconds of all threads, user and system, and seconds on the clock."""
        if self._step is None:
            raise RuntimeError("run before prepare")
        cpu, wall = time.process_time(), time.perf_counter()
        self._step.run(steps)
        return {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}

    def peak_memory(self, *, forget: bool) -> dict[str, Any]:
        """The largest resident size so far, or since it was last forgotten."""
        if forget:
            _forget_peak()
        return {"bytes": _peak_resident_bytes()}


def _forget_peak() -> None:
    """Sets the peak back to what is resident now, lest imports hide a smaller peak of the step."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        print("the kernel keeps the peak of the imports; small differences may read 0", file=sys.stderr)


def _peak_resident_bytes() -> int:
    with open("/proc/self/status") as file:
        (peak,) = (line.split()[1] for line in file if line.startswith("VmHWM:"))
    return int(peak) * _KILOBYTE


def answer(session: Session, line: str) -> dict[str, Any]:
    """One reply; an exception becomes its name and message."""
    arguments = json.loads(line)
    try:
        return getattr(session, arguments.pop("request"))(**arguments)
    except Exception as error:  # noqa: BLE001 (whatever a framework raises belongs in the table)
        return {"error": type(error).__name__, "message": " ".join(str(error).split())[:300]}


def _claim_stdout() -> TextIO:
    """Keeps the reply channel for us, and sends to stderr what libraries print."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return replies


def main() -> None:
    """Answers until stdin ends."""
    replies = _claim_stdout()
    session = Session()
    for line in sys.stdin:
        print(json.dumps(answer(session, line)), file=replies)


if __name__ == "__main__":
    main()
