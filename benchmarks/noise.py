"""What noise and batches cost: `python -m benchmarks.noise --help`.

With `--against` the same is measured in turn in the `src` of another checkout, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parent.parent
_NUMBERS = (26_016, 644_304, 2_000_000)
_UNITS = (60_000, 1_000_000)
_SECONDS = 0.2


def main() -> None:
    """Measures, and prints processor time of each draw: medians, and the ratio to the other checkout's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.noise", description=__doc__.split("\n")[0])
    parser.add_argument("--against", type=pathlib.Path, metavar="SRC", help="the src folder of another checkout")
    parser.add_argument("--rounds", type=int, default=7, help="samples of each, in turn")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        _work()
        return
    sources = [ROOT / "src", *([options.against.resolve()] if options.against else [])]
    workers = [_Worker(source) for source in sources]
    found: list[dict[str, list[float]]] = [{} for _ in workers]
    for number in range(options.rounds):
        turn = list(zip(workers, found, strict=True))
        for worker, samples in turn if number % 2 else reversed(turn):
            for name, microseconds in worker.sample().items():
                samples.setdefault(name, []).append(microseconds)
    for name, ours in found[0].items():
        ratios = [statistics.median(a / b for a, b in zip(ours, each[name], strict=True)) for each in found[1:]]
        print(f"{name}: {statistics.median(ours):.0f} us", *(f"ratio {ratio:.2f}" for ratio in ratios))


class _Worker:
    """A process that measures the package of one source folder."""

    def __init__(self, source: pathlib.Path) -> None:
        environment = os.environ | {"PYTHONPATH": f"{source}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.noise", "--worker"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def sample(self) -> dict[str, float]:
        """Microseconds of each draw, once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        rows = [row.rsplit(" ", 1) for row in self._process.stdout.readline().strip().split(";")]
        return {name: float(value) for name, value in rows}


def _work() -> None:
    draws = _draws()
    for _ in sys.stdin:
        print(";".join(f"{name} {_microseconds(draw)}" for name, draw in draws.items()), flush=True)


def _draws() -> dict[str, Callable[[], object]]:
    import tensorflow as tf

    from tfx_privacy.training.noise import GaussianNoise
    from tfx_privacy.training.sampling import PoissonSampler

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def noise(size: int, secure: bool) -> Callable[[], object]:
        source = GaussianNoise(secure=secure)
        return tf.function(lambda: source.draw(size, 1.0)[0], autograph=False)  # type: ignore[no-any-return]

    draws = {f"{size} numbers": noise(size, secure=False) for size in _NUMBERS}
    draws[f"{_NUMBERS[0]} numbers, secure"] = noise(_NUMBERS[0], secure=True)
    for units in _UNITS:
        draws[f"a batch of 256 of {units}"] = PoissonSampler(num_units=units, sampling_probability=256 / units).draw
    for draw in draws.values():
        draw()
    return draws


def _microseconds(draw: Callable[[], object]) -> float:
    begun, count = time.process_time(), 0
    while time.process_time() - begun < _SECONDS:
        draw()
        count += 1
    return 1e6 * (time.process_time() - begun) / count


if __name__ == "__main__":
    main()
