"""What a user asks of a differentially private training run, and what that comes to."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from tfx_privacy.privacy import _validate, strict_json
from tfx_privacy.privacy.errors import ParameterError

# Below this the accountants are slow or unreliable, and epsilon is in the tens or thousands.
MIN_NOISE_MULTIPLIER = 0.3
MAX_NOISE_MULTIPLIER = 1e4
MAX_STEPS = 10_000_000
# Calibration to less is meaningless: the accountants answer with a shortcut's value.
MIN_TARGET_EPSILON = 1e-3

NEIGHBORING_RELATIONS = ("ADD_OR_REMOVE_ONE",)
PRIVACY_UNITS = ("example",)
ACCOUNTANTS = ("pld", "rdp")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DPParameters:
    """The privacy parameters of one training run by DP-SGD with Poisson sampling.

    Abadi et al. (2016), https://arxiv.org/abs/1607.00133, Algorithm 1. Say how much noise
    (`noise_multiplier`, or `target_epsilon` to have it calibrated), and how long: either
    `sampling_probability` with `steps`, or `expected_batch_size` with `epochs` or `steps`.

    >>> DPParameters(target_epsilon=3.0, target_delta=1e-6, expected_batch_size=512, epochs=10).l2_norm_clip
    1.0
    """

    noise_multiplier: float | None = None
    """Noise standard deviation divided by `l2_norm_clip` (unitless); more is more private."""
    target_epsilon: float | None = None
    """Epsilon (nats) that the run may spend at most; `noise_multiplier` is calibrated to it."""
    target_delta: float | None = None
    """Delta at which epsilon is stated, in (0, 1); must be below 1 / number of records."""
    l2_norm_clip: float = 1.0
    """Largest L2 norm of one record's gradient; sets the noise's scale, not epsilon."""
    sampling_probability: float | None = None
    """Probability with which each record enters each batch, independently."""
    expected_batch_size: int | None = None
    """Mean of the (random) batch size; also the public constant that gradient sums are divided by."""
    steps: int | None = None
    """Number of noisy updates."""
    epochs: float | None = None
    """Expected number of times that each record is drawn; an alternative to `steps`."""
    population: int | None = None
    """Declared number of records. Left out, it is counted, and then treated as public."""
    privacy_unit: str = "example"
    """Whose presence is hidden: one record ("example")."""
    neighboring_relation: str = "ADD_OR_REMOVE_ONE"
    """Which datasets are neighbours: one privacy unit more or less."""
    accountant: str = "pld"
    """Accountant that `target_epsilon` is calibrated with: "pld" (tight) or "rdp"."""
    enabled: bool = True
    """False trains without any privacy: epsilon is infinite, and the gate refuses the model."""

    def __post_init__(self) -> None:
        if not isinstance(self.enabled, bool):
            raise ParameterError(f"Expected enabled={self.enabled!r} to be True or False.")
        self._set("l2_norm_clip", _validate.positive(l2_norm_clip=self.l2_norm_clip))
        _validate.one_of(PRIVACY_UNITS, privacy_unit=self.privacy_unit)
        _validate.one_of(NEIGHBORING_RELATIONS, neighboring_relation=self.neighboring_relation)
        _validate.one_of(ACCOUNTANTS, accountant=self.accountant)
        if self.target_delta is not None:
            self._set("target_delta", _validate.open_interval(0.0, 1.0, target_delta=self.target_delta))
        self._check_noise()
        self._check_duration()

    @classmethod
    def from_json(cls, text: str) -> DPParameters:
        """Reads what `to_json` wrote; unknown names are refused."""
        values = strict_json.loads(text)
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(values, dict) or not set(values) <= set(names):
            unknown = sorted(set(values) - set(names)) if isinstance(values, dict) else [values]
            raise ParameterError(f"Unknown privacy parameters {unknown}. Known: {', '.join(names)}.")
        return cls(**values)

    def to_json(self) -> str:
        """Writes every field as canonical JSON."""
        return strict_json.dumps(dataclasses.asdict(self), indent=None)

    def resolve(self, *, population: int | None = None) -> ResolvedParameters:
        """Fixes sampling probability, steps and batch size for a number of records.

        Args:
          population: Number of records counted; used only where the parameters declare none.

        Returns:
          The run in full, except for the noise multiplier where that is to be calibrated.

        Raises:
          ParameterError: If the numbers do not fit together, e.g. an expected batch larger than the data.
        """
        declared = self.population is not None
        records = self.population if declared else population
        if records is not None:
            records = _validate.positive_integer("There is nothing to train on.", population=records)
        if self.sampling_probability is not None:
            probability = self.sampling_probability
        else:
            probability = self._probability_from_batch(records)
        batch = self._batch(probability, records)
        if self.steps is not None:
            steps = self.steps
        else:
            assert self.epochs is not None
            steps = _validate.positive_integer(
                "Lower epochs or raise expected_batch_size.",
                maximum=MAX_STEPS,
                steps=math.ceil(self.epochs / probability),
            )
        if records is not None:
            self._check_against_population(probability, records)
        return ResolvedParameters(
            parameters=self,
            sampling_probability=probability,
            steps=steps,
            expected_batch_size=batch,
            population=records,
            population_is_declared=declared,
        )

    def _check_noise(self) -> None:
        if not self.enabled:
            if self.noise_multiplier is not None or self.target_epsilon is not None:
                raise ParameterError(
                    f"Expected no noise_multiplier={self.noise_multiplier!r} and no target_epsilon={self.target_epsilon!r} "
                    "with enabled=False. Remove them, or train with privacy."
                )
            return
        if self.noise_multiplier is None and self.target_epsilon is None:
            raise ParameterError("Neither noise_multiplier nor target_epsilon is set. Give one of them.")
        if self.noise_multiplier is not None:
            if self.target_epsilon is not None:
                raise ParameterError(
                    f"Both noise_multiplier={self.noise_multiplier!r} and target_epsilon={self.target_epsilon!r} are set. "
                    "Give one: the other follows from it."
                )
            self._set(
                "noise_multiplier",
                _validate.closed_interval(
                    MIN_NOISE_MULTIPLIER,
                    MAX_NOISE_MULTIPLIER,
                    "Less noise than 0.3 gives no useful guarantee; enabled=False trains without privacy and says so.",
                    noise_multiplier=self.noise_multiplier,
                ),
            )
        else:
            epsilon = _validate.positive(target_epsilon=self.target_epsilon)
            if not epsilon >= MIN_TARGET_EPSILON:
                raise ParameterError(
                    f"Expected target_epsilon={epsilon!r} >= {MIN_TARGET_EPSILON}. Smaller targets cannot be calibrated."
                )
            self._set("target_epsilon", epsilon)

    def _check_duration(self) -> None:
        if self.population is not None:
            self._set("population", _validate.positive_integer(population=self.population))
        if self.steps is not None:
            self._set("steps", _validate.positive_integer(maximum=MAX_STEPS, steps=self.steps))
        if self.epochs is not None:
            self._set("epochs", _validate.positive(epochs=self.epochs))
        if self.expected_batch_size is not None:
            self._set("expected_batch_size", _validate.positive_integer(expected_batch_size=self.expected_batch_size))
        if self.sampling_probability is not None:
            self._set(
                "sampling_probability",
                _validate.half_open_interval(0.0, 1.0, sampling_probability=self.sampling_probability),
            )
        if (self.sampling_probability is None) == (self.expected_batch_size is None):
            raise ParameterError(
                f"Expected exactly one of sampling_probability={self.sampling_probability!r} and "
                f"expected_batch_size={self.expected_batch_size!r}. Give sampling_probability with steps, or "
                "expected_batch_size with epochs or steps."
            )
        if (self.steps is None) == (self.epochs is None):
            raise ParameterError(
                f"Expected exactly one of steps={self.steps!r} and epochs={self.epochs!r}. Give one of them."
            )

    def _probability_from_batch(self, records: int | None) -> float:
        assert self.expected_batch_size is not None
        if records is None:
            raise ParameterError(
                f"expected_batch_size={self.expected_batch_size} gives a sampling probability only for a known number "
                "of records. Set population, or give sampling_probability and steps."
            )
        if not self.expected_batch_size <= records:
            raise ParameterError(
                f"Expected expected_batch_size={self.expected_batch_size} <= population={records}. Lower expected_batch_size."
            )
        return self.expected_batch_size / records

    def _batch(self, probability: float, records: int | None) -> float | None:
        if self.expected_batch_size is not None:
            return float(self.expected_batch_size)
        return None if records is None else probability * records

    def _check_against_population(self, probability: float, records: int) -> None:
        if not probability * records >= 1.0:
            raise ParameterError(
                f"sampling_probability={probability:g} draws {probability * records:g} of population={records} records "
                "a step: most batches would be empty. Raise sampling_probability."
            )
        if self.enabled and self.target_delta is not None and not self.target_delta < 1.0 / records:
            raise ParameterError(
                f"Expected target_delta={self.target_delta:g} < 1 / population = {1.0 / records:.3g}. A delta of that size "
                "allows publishing a whole record; use a smaller one."
            )

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # the dataclass is frozen for everybody else


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResolvedParameters:
    """A run with its sampling probability, steps and batch size fixed."""

    parameters: DPParameters
    sampling_probability: float
    steps: int
    expected_batch_size: float | None
    """Mean batch size; None where the number of records is not known."""
    population: int | None
    population_is_declared: bool
