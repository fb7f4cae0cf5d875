"""What a piece of work costs in a separate process: processor seconds and peak memory, for the benchmarks of the attacks."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_KILOBYTE = 1024
_MEGABYTE = 1e6


@dataclasses.dataclass
class Usage:
    """What was measured in one process.

    Attributes:
      cpu_seconds: User and system, all threads, by part of the work.
      base_bytes: Resident before the work: interpreter, libraries, data.
      peak_bytes: Largest resident size during the work.
      found: What the work found, to compare ways by.
    """

    cpu_seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    base_bytes: int = 0
    peak_bytes: int = 0
    found: str = ""

    @property
    def total(self) -> float:
        """Processor seconds of all parts."""
        return sum(self.cpu_seconds.values())

    @property
    def growth_bytes(self) -> int:
        """How far the peak was above the base."""
        return self.peak_bytes - self.base_bytes


class Meter:
    """Measures parts of the work of this process, from when it is made; imports and data come before."""

    def __init__(self) -> None:
        """Sets the peak back to what is resident now, lest what was made before the work hide a smaller peak of the work."""
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        self._usage = Usage(base_bytes=_peak())

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Adds the processor seconds of a block to those of a part."""
        started = time.process_time()
        yield
        seconds = self._usage.cpu_seconds
        seconds[name] = seconds.get(name, 0.0) + time.process_time() - started

    def usage(self, found: str) -> Usage:
        """Everything measured so far."""
        self._usage.peak_bytes, self._usage.found = _peak(), found
        return self._usage


def in_process(method: str, work: Callable[..., Usage], *arguments: Any, seconds: float) -> Usage | None:
    """Runs work in a fresh process.

    Args:
      method: "spawn", or "forkserver" where imports are to be paid once for all processes.
      work: A function of a module.
      *arguments: Of it.
      seconds: How long it may take on the clock.

    Returns:
      What it returns; None if it failed or took longer.
    """
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    found = None
    with contextlib.suppress(EOFError):  # a process that failed has said why on stderr
        found = ours.recv() if ours.poll(seconds) else None
    if found is None:
        process.kill()
    process.join()
    return found


def interleaved(names: Sequence[str], rounds: int, measure: Callable[[str], Usage | None]) -> Mapping[str, list[Usage]]:
    """Measures ways in turn, A B C, C B A, ..., so a drift of the machine favours nobody.

    Args:
      names: Of the ways.
      rounds: Measurements of each.
      measure: Measures one; a way without a result is not asked again, and has none.

    Returns:
      By way, what each round measured.
    """
    found: dict[str, list[Usage]] = {name: [] for name in names}
    given_up: set[str] = set()
    for number in range(rounds):
        for name in [name for name in (names if number % 2 == 0 else names[::-1]) if name not in given_up]:
            usage = measure(name)
            print(f"round {number + 1}, {name}: {'-' if usage is None else f'{usage.total:.2f} s'}", file=sys.stderr)
            if usage is None:
                given_up.add(name)
            else:
                found[name].append(usage)
    return {name: [] if name in given_up else usages for name, usages in found.items()}


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, and the smallest and largest value."""
    if not values:
        return "-"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def megabytes(values: Sequence[int]) -> str:
    """Median of sizes in bytes, in MB."""
    return f"{statistics.median(values) / _MEGABYTE:.0f}" if values else "-"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _send(connection: Any, work: Callable[..., Usage], arguments: tuple[Any, ...]) -> None:
    connection.send(work(*arguments))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KILOBYTE
