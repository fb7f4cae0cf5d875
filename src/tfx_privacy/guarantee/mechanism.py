"""The mechanism of one training run, as it was executed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import pydantic
from typing_extensions import Self

from tfx_privacy.accounting.composition import terms, training_event
from tfx_privacy.records.base import (
    OpenProbability,
    PositiveCount,
    PositiveFloat,
    Record,
)

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

# What only tests may use; whoever knows the seed can subtract the noise.
TEST_NOISE = "deterministic_test"

# The steps before a pass's last one leave a unit over. Below 10^12 units that is more than rounding, which takes 49 steps
# of 1/49 for less than all.
_NEARLY_ALL = 1.0 - 1e-12


class AdaptiveClipping(Record):
    """A clip that followed a quantile of the gradients' norms: Andrew et al. (2021), https://arxiv.org/abs/1905.03871."""

    target_quantile: OpenProbability
    learning_rate: PositiveFloat
    sum_noise_multiplier: PositiveFloat
    """Noise standard deviation / clip of the gradients' sum alone."""
    count_standard_deviation: PositiveFloat
    """Noise on the number of units within the clip, of which each unit moves one half."""
    final_l2_norm_clip: PositiveFloat

    @property
    def noise_multiplier(self) -> float:
        """Noise multiplier of both releases together (Theorem 1)."""
        return float((self.sum_noise_multiplier**-2 + (2.0 * self.count_standard_deviation) ** -2) ** -0.5)


class DPMechanism(Record):
    """Private training as it was executed: every step of every batch that was drawn, those of lost attempts included.

    "dp_sgd" adds independent noise at every step; "dp_ftrl" adds the noise of a binary tree over each pass.
    """

    kind: Literal["dp_sgd", "dp_ftrl"] = "dp_sgd"
    sampling: Literal["poisson", "shuffled"] = "poisson"
    """"poisson": every unit entered every batch independently; "shuffled": once in every pass, and no
    amplification is claimed."""
    sampling_probability: Annotated[float, pydantic.Field(gt=0.0, le=1.0, allow_inf_nan=False)]
    """Of each unit to enter a batch; with "shuffled" the share of the units in one."""
    steps: PositiveCount
    passes: list[PositiveCount] | None = None
    """With "shuffled": steps of each pass over the data, also of one that was broken off."""
    lost_steps: Annotated[int, pydantic.Field(ge=0)] = 0
    """Of `steps`, those whose result was lost when a run was killed; they are charged all the same."""
    noise_multiplier: PositiveFloat
    """Noise standard deviation / clip; with an adaptive clip that of its two releases together."""
    l2_norm_clip: PositiveFloat
    """The clip; the first one where it is adaptive."""
    adaptive_clipping: AdaptiveClipping | None = None
    expected_batch_size: PositiveFloat
    """The public constant that noisy gradient sums were divided by."""
    noise_source: Literal["os_entropy", "os_entropy_secure", "deterministic_test"]
    """How the noise was keyed; "deterministic_test" gives no privacy."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.sampling == "shuffled") != (self.passes is not None):
            raise ValueError("passes belong to sampling='shuffled', and only there")
        if self.passes is not None and sum(self.passes) != self.steps:
            raise ValueError(f"passes add up to {sum(self.passes)}, not to steps={self.steps}")
        # A longer one would have had units in several of its steps, and is accounted as if each were in one.
        if self.passes is not None and not (max(self.passes) - 1) * self.sampling_probability < _NEARLY_ALL:
            raise ValueError(
                f"a pass of {max(self.passes)} steps goes more than once over the data, of which each step takes a share of "
                f"sampling_probability={self.sampling_probability:g}"
            )
        if not self.expected_batch_size >= 1.0:
            raise ValueError(f"expected_batch_size={self.expected_batch_size:g} is less than one unit")
        if self.kind == "dp_ftrl" and self.sampling != "shuffled":
            raise ValueError("dp_ftrl reads the data in passes")
        if self.lost_steps > self.steps:
            raise ValueError(f"lost_steps={self.lost_steps} is more than steps={self.steps}")
        adaptive = self.adaptive_clipping
        if adaptive is not None and not self.noise_multiplier <= adaptive.noise_multiplier * (1 + 1e-9):
            raise ValueError("noise_multiplier is more than the adaptive clip's two releases come to")
        return self

    @property
    def is_private(self) -> bool:
        """Whether nobody can know the noise."""
        return self.noise_source != TEST_NOISE

    @property
    def event(self) -> DpEvent:
        """The composition that was executed, for the accountants.

        Raises:
          ParameterError: If a number is outside the accountants' range.
        """
        return self.event_of(steps=self.steps, passes=self.passes)

    def event_of(self, *, steps: int, passes: Sequence[int] | None) -> DpEvent:
        """The composition of a part of the run: so many steps, or these passes."""
        return training_event(
            noise_multiplier=self.noise_multiplier,
            sampling_probability=self.sampling_probability,
            steps=steps,
            passes=passes,
            tree=self.kind == "dp_ftrl",
        )


class NoMechanism(Record):
    """Training without differential privacy, asked for explicitly."""

    kind: Literal["none"] = "none"
    steps: PositiveCount


def same_noise(mechanism: DPMechanism | NoMechanism, reference: DPMechanism | NoMechanism) -> bool:
    """Whether both add the same noise to samples of the same kind, so one accounting covers both."""
    if isinstance(mechanism, NoMechanism) or isinstance(reference, NoMechanism):
        return isinstance(mechanism, NoMechanism) and isinstance(reference, NoMechanism)
    own, other = terms(mechanism.event), terms(reference.event)
    return own._replace(steps=0) == other._replace(steps=0)
