"""What a user asks of a differentially private training run, and the run it resolves to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfx_privacy import _validate
from tfx_privacy.accounting.composition import (
    MAX_NOISE_MULTIPLIER,
    MAX_STEPS,
    MIN_NOISE_MULTIPLIER,
    RELATION_OF_SAMPLING,
    compositions_of_passes,
    training_event,
)
from tfx_privacy.errors import ParameterError
from tfx_privacy.records import strict_json

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

# Calibration to less is meaningless: the accountants answer with a shortcut's value.
MIN_TARGET_EPSILON = 1e-3

PRIVACY_UNITS = ("example", "user")

ACCOUNTANTS = ("pld", "rdp")

ALGORITHMS = ("dp_sgd", "dp_ftrl")

CLIPPINGS = ("flat", "adaptive")

# Fewer audit slots can reject hardly anything; more cost memory for nothing.
MIN_AUDIT_CANARIES, MAX_AUDIT_CANARIES = 100, 100_000

# Beyond it float32, in which gradients are clipped, knows no number or no square of one.
_CLIP_RANGE = 1e-15, 1e15

# The count of units within the clip gets this share of the batch as noise (Andrew et al. 2021, Section 3.1).
_COUNT_NOISE_SHARE = 1 / 20


class _LeftOut(float):
    """A number that stands where nobody gave one: what a model states itself may take its place."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DPParameters:
    """The privacy parameters of one training run.

    By default DP-SGD with Poisson sampling: Abadi et al. (2016), https://arxiv.org/abs/1607.00133, Algorithm 1. Say how
    much noise (`noise_multiplier`, or `target_epsilon` to have it calibrated), and how long: either
    `sampling_probability` with `steps`, or `expected_batch_size` with `epochs` or `steps`. Noise and clip may be left out
    where the model states them, by a class of tensorflow-privacy.

    >>> DPParameters(target_epsilon=3.0, target_delta=1e-6, expected_batch_size=512, epochs=10).l2_norm_clip
    1.0
    """

    noise_multiplier: float | None = None
    """Noise standard deviation divided by `l2_norm_clip` (unitless); more is more private."""
    target_epsilon: float | None = None
    """Epsilon (nats) that the run may spend at most, with what DPTrainer is given as `privacy_releases`; `noise_multiplier`
    is calibrated to it."""
    target_delta: float | None = None
    """Delta at which epsilon is stated, in (0, 1); must be below 1 / number of records."""
    l2_norm_clip: float = _LeftOut(1.0)
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
    algorithm: str = "dp_sgd"
    """"dp_sgd": independent noise at every step; "dp_ftrl": tree aggregation (Kairouz et al. 2021,
    https://arxiv.org/abs/2103.00039), for data that is read in passes (`sampling="shuffled"`)."""
    sampling: str = "poisson"
    """"poisson": each unit enters each batch independently, which amplifies privacy; "shuffled": each unit once in
    every pass, in batches of `expected_batch_size`, for which no amplification is claimed."""
    clipping: str = "flat"
    """"flat": `l2_norm_clip` throughout; "adaptive": from there it follows a quantile of the gradients' norms (Andrew
    et al. 2021, https://arxiv.org/abs/1905.03871), whose budget is part of `noise_multiplier`."""
    clip_quantile: float = 0.5
    """Share of the units whose gradient an adaptive clip leaves whole."""
    clip_learning_rate: float = 0.2
    """Step size of the adaptive clip's logarithm."""
    clip_count_noise: float | None = None
    """Standard deviation of the noise on the number of units within the clip; left out, 1/20 of the expected batch."""
    privacy_unit: str = "example"
    """Whose presence is hidden: one record ("example"), or all records of one person ("user"), who is then drawn,
    clipped and counted as one."""
    user_id_key: str | None = None
    """Name of the feature that tells users apart; needed for `privacy_unit="user"`. The model does not see it."""
    max_records_per_user: int | None = None
    """Records that are used of one user at most, a random choice of them; needed for `privacy_unit="user"`."""
    secure_noise: bool = False
    """Noise in float64 as a sum of four (Holohan and Braghin 2021), against attacks on its last
    bits; about ten times slower."""
    audit_canaries: int = 0
    """Audit slots: canary gradients on a vector next to the model, which show what noise and clipping really did."""
    neighboring_relation: str | None = None
    """Which datasets are neighbours; follows from `sampling`: one unit more or less ("ADD_OR_REMOVE_ONE"), or one unit
    replaced by nothing ("REPLACE_SPECIAL")."""
    accountant: str = "pld"
    """Accountant that `target_epsilon` is calibrated with: "pld" (tight) or "rdp"."""
    enabled: bool = True
    """False trains without any privacy: epsilon is infinite, and the gate refuses the model."""

    def __post_init__(self) -> None:
        if not isinstance(self.enabled, bool):
            raise ParameterError(f"Expected enabled={self.enabled!r} to be True or False.")
        if not self.leaves_out_clip:
            self._set("l2_norm_clip", _validate.closed_interval(*_CLIP_RANGE, l2_norm_clip=self.l2_norm_clip))
        _validate.one_of(PRIVACY_UNITS, privacy_unit=self.privacy_unit)
        _validate.one_of(ACCOUNTANTS, accountant=self.accountant)
        self._check_mechanism()
        self._check_unit()
        if self.target_delta is not None:
            self._set("target_delta", _validate.open_interval(0.0, 1.0, target_delta=self.target_delta))
        self._check_noise()
        self._check_duration()

    @classmethod
    def from_json(cls, text: str) -> DPParameters:
        """Reads what `to_json` wrote.

        Raises:
          ParameterError: If it is not strict JSON, or names an unknown parameter.
        """
        values = strict_json.parameter(privacy=text)
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(values, dict) or not set(values) <= set(names):
            unknown = sorted(set(values) - set(names)) if isinstance(values, dict) else [values]
            raise ParameterError(f"Unknown privacy parameters {unknown}. Known: {', '.join(names)}.")
        if values.get("l2_norm_clip", 0) is None:
            del values["l2_norm_clip"]
        return cls(**values)

    def to_json(self) -> str:
        """Writes every field as canonical JSON; a clip that was left out is null."""
        values = dataclasses.asdict(self) | ({"l2_norm_clip": None} if self.leaves_out_clip else {})
        return strict_json.dumps(values, indent=None)

    @property
    def leaves_out_clip(self) -> bool:
        """Whether nobody gave `l2_norm_clip`, so it is the default unless the model states one."""
        return isinstance(self.l2_norm_clip, _LeftOut)

    def check_noise_is_known(self) -> None:
        """Refuses parameters of which no noise follows.

        Raises:
          ParameterError: If privacy is on, and neither `noise_multiplier` nor `target_epsilon` is set.
        """
        if self.enabled and self.noise_multiplier is None and self.target_epsilon is None:
            raise ParameterError(
                "Neither noise_multiplier nor target_epsilon is set. Give one of them: only a model with a class of "
                "tensorflow-privacy, such as DPKerasAdamOptimizer, states its noise itself."
            )

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
        steps_per_pass = None
        if self.sampling == "shuffled":
            assert records is not None
            assert self.expected_batch_size is not None
            steps_per_pass = math.ceil(records / self.expected_batch_size)
        if self.steps is not None:
            steps = self.steps
        else:
            assert self.epochs is not None
            steps = _validate.positive_integer(
                "Lower epochs or raise expected_batch_size.",
                maximum=MAX_STEPS,
                steps=math.ceil(self.epochs * steps_per_pass if steps_per_pass else self.epochs / probability),
            )
        if records is not None:
            self._check_against_population(probability, records)
        return ResolvedParameters(
            parameters=self,
            sampling_probability=probability,
            steps=steps,
            steps_per_pass=steps_per_pass,
            expected_batch_size=batch,
            population=records,
            population_is_declared=declared,
        )

    def _check_mechanism(self) -> None:
        _validate.one_of(ALGORITHMS, algorithm=self.algorithm)
        _validate.one_of(tuple(RELATION_OF_SAMPLING), sampling=self.sampling)
        _validate.one_of(CLIPPINGS, clipping=self.clipping)
        if self.algorithm == "dp_ftrl" and self.sampling != "shuffled":
            raise ParameterError(
                f"algorithm='dp_ftrl' reads the data in passes, but sampling={self.sampling!r}. Set "
                "sampling='shuffled'."
            )
        relation = RELATION_OF_SAMPLING[self.sampling]
        if self.neighboring_relation is None:
            self._set("neighboring_relation", relation)
        elif self.neighboring_relation != relation:
            raise ParameterError(
                f"Expected neighboring_relation={self.neighboring_relation!r} to be {relation!r}, the only one that "
                f"sampling={self.sampling!r} is accounted for. Leave it out."
            )
        if self.sampling == "shuffled" and self.expected_batch_size is None:
            raise ParameterError(
                f"sampling='shuffled' cuts passes into batches, but expected_batch_size={self.expected_batch_size!r}. "
                "Give expected_batch_size instead of sampling_probability."
            )
        if self.clipping == "adaptive" and self.algorithm == "dp_ftrl":
            raise ParameterError(
                "clipping='adaptive' changes the noise between steps, which algorithm='dp_ftrl' cannot."
            )
        self._set("clip_quantile", _validate.open_interval(0.0, 1.0, clip_quantile=self.clip_quantile))
        self._set("clip_learning_rate", _validate.positive(clip_learning_rate=self.clip_learning_rate))
        if self.clip_count_noise is not None:
            self._set("clip_count_noise", _validate.positive(clip_count_noise=self.clip_count_noise))
        if not isinstance(self.secure_noise, bool):
            raise ParameterError(f"Expected secure_noise={self.secure_noise!r} to be True or False.")
        if self.audit_canaries != 0:
            if self.sampling != "poisson" or self.algorithm != "dp_sgd":
                raise ParameterError(
                    f"audit_canaries={self.audit_canaries!r} audits dp_sgd with sampling='poisson', not algorithm="
                    f"{self.algorithm!r} with sampling={self.sampling!r}. Set audit_canaries=0."
                )
            low, high = MIN_AUDIT_CANARIES, MAX_AUDIT_CANARIES
            _validate.closed_interval(low, high, "Or 0 for no audit.", audit_canaries=self.audit_canaries)
            self._set("audit_canaries", _validate.positive_integer(audit_canaries=self.audit_canaries))

    def _check_unit(self) -> None:
        given = {"user_id_key": self.user_id_key, "max_records_per_user": self.max_records_per_user}
        if self.privacy_unit == "example":
            for name, value in given.items():
                if value is not None:
                    raise ParameterError(
                        f"{name}={value!r} has no meaning with privacy_unit='example'. Set privacy_unit='user'."
                    )
            return
        for name, value in given.items():
            if value is None:
                raise ParameterError(f"privacy_unit='user' needs {name}, which is not set.")
        if not isinstance(self.user_id_key, str) or not self.user_id_key:
            raise ParameterError(f"Expected user_id_key={self.user_id_key!r} to be the name of a feature.")
        self._set(
            "max_records_per_user",
            _validate.positive_integer(maximum=1000, max_records_per_user=self.max_records_per_user),
        )

    def _check_noise(self) -> None:
        if not self.enabled:
            if self.noise_multiplier is not None or self.target_epsilon is not None:
                given = {"noise_multiplier": self.noise_multiplier, "target_epsilon": self.target_epsilon}
                names = " and ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
                raise ParameterError(f"{names} has no meaning with enabled=False. Remove it, or set enabled=True.")
            return
        if self.noise_multiplier is not None:
            if self.target_epsilon is not None:
                raise ParameterError(
                    f"Both noise_multiplier={self.noise_multiplier!r} and target_epsilon={self.target_epsilon!r} are "
                    "set. Give one: the other follows from it."
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
        elif self.target_epsilon is not None:
            epsilon = _validate.positive(target_epsilon=self.target_epsilon)
            if not epsilon >= MIN_TARGET_EPSILON:
                raise ParameterError(
                    f"Expected target_epsilon={epsilon!r} >= {MIN_TARGET_EPSILON}. Smaller targets cannot be "
                    "calibrated."
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
                f"Expected expected_batch_size={self.expected_batch_size} <= population={records}. Lower "
                "expected_batch_size."
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
                f"Expected target_delta={self.target_delta:g} < 1 / population = {1.0 / records:.3g}. A delta of that "
                "size allows publishing a whole record; use a smaller one."
            )

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # the dataclass is frozen for everybody else


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResolvedParameters:
    """A run with its sampling probability, steps and batch size fixed."""

    parameters: DPParameters
    sampling_probability: float
    """Share of the units in a batch; a probability only with Poisson sampling."""
    steps: int
    expected_batch_size: float | None
    """Mean batch size; None where the number of records is not known."""
    population: int | None
    """Number of privacy units."""
    population_is_declared: bool
    steps_per_pass: int | None = None
    """With `sampling="shuffled"`: steps in which every unit takes part once."""

    @property
    def count_standard_deviation(self) -> float:
        """Noise on the number of units within an adaptive clip."""
        if self.parameters.clip_count_noise is not None:
            return self.parameters.clip_count_noise
        return max(1.0, (self.expected_batch_size or 0.0) * _COUNT_NOISE_SHARE)

    def sum_noise_multiplier(self, noise_multiplier: float) -> float:
        """Noise of the gradients' sum alone, with an adaptive clip, when both releases together have `noise_multiplier`.

        Andrew et al. (2021), https://arxiv.org/abs/1905.03871, Theorem 1.

        Raises:
          ParameterError: If the noise on the count leaves nothing for the sum.
        """
        rest = noise_multiplier**-2 - (2.0 * self.count_standard_deviation) ** -2
        if not rest > 0.0:
            raise ParameterError(
                f"clip_count_noise={self.count_standard_deviation:g} alone spends what "
                f"noise_multiplier={noise_multiplier:g} allows. Set clip_count_noise above {noise_multiplier / 2:g}."
            )
        return float(rest**-0.5)

    def event(self, noise_multiplier: float) -> DpEvent:
        """The run's composition for the accountants, with so much noise.

        Raises:
          ParameterError: If a number is outside the accountants' range.
        """
        return training_event(
            noise_multiplier=noise_multiplier,
            sampling_probability=self.sampling_probability,
            steps=self.steps,
            passes=None if self.steps_per_pass is None else self.passes(self.steps),
            tree=self.parameters.algorithm == "dp_ftrl",
        )

    @property
    def compositions(self) -> int:
        """Of how many Gaussian mechanisms the run is the composition, with the noise multiplier as it is.

        With Poisson sampling the steps; in passes the passes, because each unit takes part once in each; with tree
        aggregation the nodes of each pass's tree that one unit is part of (Kairouz et al. 2021, Theorem 4.1).
        """
        return self.compositions_of([self.steps])

    def compositions_of(self, attempts: Sequence[int]) -> int:
        """The same for a run in several attempts, each of so many steps."""
        if self.steps_per_pass is None:
            return sum(attempts)
        passes = [part for steps in attempts for part in self.passes(steps)]
        return compositions_of_passes(passes, tree=self.parameters.algorithm == "dp_ftrl")

    def passes(self, steps: int) -> list[int]:
        """Lengths of the passes that so many successive steps are; the last one may be broken off.

        Raises:
          ParameterError: If the data are not read in passes.
        """
        if self.steps_per_pass is None:
            raise ParameterError(f"sampling={self.parameters.sampling!r} has no passes. Set sampling='shuffled'.")
        whole, rest = divmod(steps, self.steps_per_pass)
        return [self.steps_per_pass] * whole + ([rest] if rest else [])
