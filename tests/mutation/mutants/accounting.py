"""Bugs in what a run is accounted for, and in what a resumed one remembers."""

from __future__ import annotations

from mutants.mutant import Mutant

ACCOUNTING = [
    Mutant("steps are epochs", "DPParameters.resolve", "self.epochs / probability", "self.epochs", "test_parameters"),
    Mutant(
        "half the probability", "training_event",
        "if passes is not None: ...",
        """
        if passes is not None: ...
        else: sampling_probability = sampling_probability / 2
        """,
        "test_accounting",
    ),
    Mutant(
        "integers are accounted as they are", "real",
        "return float(value)", "return value", "test_accounting test_parameters",
    ),
    Mutant(
        "another delta", "_account",
        "make_accountant().compose(event).get_epsilon(left)",
        "make_accountant().compose(event).get_epsilon(10 * left)", "test_accounting",
    ),
    Mutant(
        "no composition", "dp_sgd_event",
        "dp_accounting.SelfComposedDpEvent(step, ...)", "step", "test_accounting",
    ),
    Mutant(
        "a tree is one node", "compositions_of_passes",
        "return sum(steps.bit_length() if tree else 1 for steps in passes)", "return sum(1 for steps in passes)",
        "test_parameters",
    ),
    Mutant(
        "passes are amplified", "training_event",
        "sampling_probability, steps = 1.0, ...", "steps = ...", "test_training",
    ),
    Mutant(
        "the probability that was planned", "PrivateMechanism.executed",
        "resolved.sampling_probability if drawn is None else drawn", "resolved.sampling_probability", "test_training",
    ),
    Mutant(
        "lost steps are free", "PrivateMechanism.steps",
        "return self._history.executed + self._sampler.batches_drawn",
        "return self._history.completed + self._sampler.batches_drawn", "test_checkpoint",
    ),
    Mutant(
        "earlier attempts are free", "PrivateMechanism.resume_from",
        "self._history = history", "self._history = History()", "test_checkpoint",
    ),
    Mutant(
        "steps are written down afterwards", "loop:_run",
        """
        if checkpoints:
            checkpoints.intend(count)
        norm = training.advance(count)
        """,
        """
        norm = training.advance(count)
        if checkpoints:
            checkpoints.intend(count)
        """,
        "test_checkpoint",
    ),
    Mutant(
        "a resumed run begins its steps again", "_steps_left",
        """
        if not history.attempts:
            return resolved.steps
        """,
        "return resolved.steps", "test_checkpoint",
    ),
    Mutant(
        "a damaged journal is a new run", "Checkpoints._read",
        "raise CheckpointError(...)",
        """
        return None
        raise CheckpointError(...)
        """,
        "test_checkpoint",
    ),
    Mutant(
        "calibrated to less noise", "calibrate_noise_multiplier",
        "_descend(by_pld(...), wished.target_epsilon, nearly, slope=slope)[0]",
        "0.99 * _descend(by_pld(...), wished.target_epsilon, nearly, slope=slope)[0]", "test_accounting",
    ),
    Mutant(
        "epsilon is rounded to the nearest", "rounded_up",
        "decimal.ROUND_CEILING", "decimal.ROUND_HALF_EVEN", "test_rounding",
    ),
    Mutant(
        "events are taken as they come", "checked",
        "return dp_sgd_event(**terms(event)._asdict())", "return event", "test_accounting",
    ),
]  # fmt: skip
