"""Timing variants against each other, and weighing each alone."""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.processes import Host, Worker, WorkerError
from benchmarks.variants import Setting, family_of

_CALIBRATION_STEPS = 2
_MEMORY_STEPS = 3
_MOST_STEPS = 2000
# Of the variant that runs several steps in one call: a sample is made of full calls where it is long enough.
_STEPS_OF_A_CALL = 16

Report = Callable[[str], None]


@dataclass
class Outcome:
    """What is known of one variant.

    Attributes:
      variant: Its name.
      problem: Why there is no number, or empty.
      note: What a reader of the numbers must know.
      num_parameters: Of the model.
      versions: Of the packages it runs on.
      first_call_cpu_seconds: The first step, with tracing and compilation.
      steps_per_sample: Steps between two readings of the clock.
      cpu_seconds: Processor seconds per step, one entry per round.
      wall_seconds: Clock seconds per step, one entry per round.
      peak_bytes: Largest growth of the resident size over model and batch.
    """

    variant: str
    problem: str = ""
    note: str = ""
    num_parameters: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    first_call_cpu_seconds: float = 0.0
    steps_per_sample: int = 0
    cpu_seconds: list[float] = field(default_factory=list)
    wall_seconds: list[float] = field(default_factory=list)
    peak_bytes: int | None = None

    @property
    def median(self) -> float | None:
        """Median processor seconds per step; none after a problem, even if rounds before it were measured."""
        return statistics.median(self.cpu_seconds) if self.cpu_seconds and not self.problem else None


def time_variants(
    outcomes: Sequence[Outcome], setting: Setting, host: Host, *, rounds: int, sample_seconds: float, report: Report
) -> None:
    """Times the variants in rounds, each in its own live process.

    The order is turned round after every round (A B C, C B A, ...), so a drift of the machine favours nobody.

    Args:
      outcomes: Filled in place; those with a problem are passed over.
      setting: The model and the batch.
      host: Where.
      rounds: Samples per variant.
      sample_seconds: Processor time one sample should take.
      report: Is told what goes on.
    """
    with contextlib.ExitStack() as stack:
        workers = {}
        for outcome in (outcome for outcome in outcomes if not outcome.problem):
            report(f"preparing {outcome.variant}")
            with _noting_problems(outcome):
                workers[outcome.variant] = stack.enter_context(_start(outcome, setting, host))
                _calibrate(outcome, workers[outcome.variant], sample_seconds)
        order = [outcome for outcome in outcomes if outcome.variant in workers]
        for index in range(rounds):
            report(f"round {index + 1} of {rounds}")
            for outcome in (outcome for outcome in order if not outcome.problem):
                with _noting_problems(outcome):
                    _sample(outcome, workers[outcome.variant])
            order.reverse()


def weigh_variant(outcome: Outcome, setting: Setting, host: Host) -> None:
    """Measures, in a fresh process, how far the first steps raise the resident size above model and batch.

    Args:
      outcome: Filled in place.
      setting: The model and the batch.
      host: Where.
    """
    if outcome.problem:
        return
    with _noting_problems(outcome), _start(outcome, setting, host) as worker:
        before = worker.ask("peak_memory", forget=True)["bytes"]
        worker.ask("run", steps=_MEMORY_STEPS)
        outcome.peak_bytes = worker.ask("peak_memory", forget=False)["bytes"] - before


def different_sizes(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """The number of parameters by variant if they are not all equal: then the models compared are not the same."""
    sizes = {outcome.variant: outcome.num_parameters for outcome in outcomes if outcome.num_parameters}
    return sizes if len(set(sizes.values())) > 1 else {}


@contextlib.contextmanager
def _noting_problems(outcome: Outcome) -> Iterator[None]:
    """Makes a worker's error the outcome's problem."""
    try:
        yield
    except WorkerError as error:
        outcome.problem = str(error)


def _start(outcome: Outcome, setting: Setting, host: Host) -> Worker:
    interpreter = host.interpreters[family_of(outcome.variant).interpreter]
    worker = Worker(interpreter, host)
    try:
        reply = worker.ask("prepare", variant=outcome.variant, setting=dataclasses.asdict(setting))
    except WorkerError:
        worker.close()
        raise
    outcome.num_parameters, outcome.note, outcome.versions = reply["num_parameters"], reply["note"], reply["versions"]
    return worker


def _calibrate(outcome: Outcome, worker: Worker, sample_seconds: float) -> None:
    outcome.first_call_cpu_seconds = worker.ask("run", steps=1)["cpu_seconds"]
    per_step = worker.ask("run", steps=_CALIBRATION_STEPS)["cpu_seconds"] / _CALIBRATION_STEPS
    steps = min(_MOST_STEPS, max(1, round(sample_seconds / max(per_step, 1e-6))))
    outcome.steps_per_sample = steps - steps % _STEPS_OF_A_CALL if steps > _STEPS_OF_A_CALL else steps
    # Once without the clock: a number of steps that is new may be compiled for.
    worker.ask("run", steps=outcome.steps_per_sample)


def _sample(outcome: Outcome, worker: Worker) -> None:
    steps = outcome.steps_per_sample
    reply = worker.ask("run", steps=steps)
    outcome.cpu_seconds.append(reply["cpu_seconds"] / steps)
    outcome.wall_seconds.append(reply["wall_seconds"] / steps)
