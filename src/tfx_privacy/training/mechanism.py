"""One object samples, clips, adds noise, counts, and says what it did: the mechanism that is accounted is the one that ran."""

from __future__ import annotations

import dataclasses
import functools
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfx_privacy import _validate
from tfx_privacy.accounting.composition import MAX_NOISE_MULTIPLIER, MIN_NOISE_MULTIPLIER
from tfx_privacy.accounting.parameters import ResolvedParameters
from tfx_privacy.errors import InternalError, ParameterError
from tfx_privacy.guarantee.mechanism import AdaptiveClipping, DPMechanism, NoMechanism
from tfx_privacy.training.batches import ResidentData
from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.noise import GaussianNoise, Noise, NoiseSource, TreeNoise
from tfx_privacy.training.private_step import Execution, PrivateStep, StepSettings
from tfx_privacy.training.sampling import PoissonSampler, Sampler, ShuffledPasses, records_of_users


@dataclasses.dataclass(frozen=True)
class History:
    """What earlier attempts at the same run did, in steps."""

    attempts: Sequence[int] = ()
    """Steps of each attempt that may have been executed."""
    completed: int = 0
    """Steps whose result is in the weights."""

    @property
    def executed(self) -> int:
        """All steps that may have read the data."""
        return sum(self.attempts)


@dataclasses.dataclass(frozen=True)
class CanaryScores:
    """What the audit's canaries came to, each of shape (num_canaries,)."""

    scores: np.ndarray
    """Sum over steps of the noisy canary coordinate, in standard deviations of one step's noise."""
    is_member: np.ndarray


class PrivateMechanism:
    """Trains a model in place, step by step.

    Abadi et al. (2016), https://arxiv.org/abs/1607.00133, Algorithm 1, with Poisson sampling and division by a public
    constant; or DP-FTRL, Kairouz et al. (2021), https://arxiv.org/abs/2103.00039.
    """

    def __init__(
        self,
        model: Any,
        data: ColumnarDataset,
        resolved: ResolvedParameters,
        *,
        noise_multiplier: float,
        execution: Execution | None = None,
        deterministic_noise_for_tests: int | None = None,
    ) -> None:
        """Prepares sampling, clipping and noise.

        Args:
          model: A compiled Keras model that `validation` accepts.
          data: The training records.
          resolved: Sampling probability, steps and expected batch size.
          noise_multiplier: Noise standard deviation / clip.
          execution: How and where steps are computed.
          deterministic_noise_for_tests: Seed of a noise that protects nothing; the mechanism is stamped with it.
        """
        self._resolved = resolved
        self._settings = StepSettings.of(resolved, noise_multiplier)
        self._history = History()
        self._passes: list[int] = []
        resident = ResidentData(data, self._units(data))
        self._num_units = resident.num_units
        self._members = self._flip_coins(resolved.parameters.audit_canaries)
        self._sampler = self._make_sampler(resident.num_units)
        make_noise = functools.partial(self._make_noise, deterministic_noise_for_tests)
        self._step = PrivateStep(model, resident, self._settings, execution, make_noise=make_noise)

    @property
    def steps(self) -> int:
        """Steps executed so far, by this attempt and earlier ones, lost ones included."""
        return self._history.executed + self._sampler.batches_drawn

    @property
    def completed(self) -> int:
        """Steps whose result is in the weights."""
        return self._history.completed + self._sampler.batches_drawn

    @property
    def state(self) -> dict[str, Any]:
        """Variables that a checkpoint must hold besides the model's: none of them is part of the noise."""
        return self._step.state

    def resume_from(self, history: History) -> None:
        """Counts what earlier attempts executed, whose weights the model already has."""
        self._history = history

    @property
    def clipped_fraction(self) -> float | None:
        """Noisy share of units beyond the clip in the last batch; None without adaptive clipping."""
        return self._step.clipped_fraction

    def advance(self, steps: int) -> float:
        """Executes some steps; with passes, within one pass.

        Returns:
          L2 norm of the last step's noisy mean gradient.
        """
        batches = [self._draw() for _ in range(steps)]
        norm = self._step.run(batches)
        if self._resolved.steps_per_pass is not None:
            self._count_pass(steps)
        return norm

    def steps_in_one_call(self, wanted: int) -> int:
        """At most `wanted`, and no further than the pass and what one call of the graph runs."""
        limit = min(wanted, self._step.steps_per_call)
        per_pass = self._resolved.steps_per_pass
        return limit if per_pass is None else min(limit, per_pass - self._sampler.batches_drawn % per_pass)

    def executed(self) -> DPMechanism:
        """The mechanism as it was executed."""
        resolved = self._resolved
        # What the sampler drew with is stated, not what was planned.
        drawn = self._sampler.sampling_probability if isinstance(self._sampler, PoissonSampler) else None
        return _record(
            resolved,
            self._settings,
            sampling_probability=resolved.sampling_probability if drawn is None else drawn,
            steps=self.steps,
            passes=self._all_passes(),
            lost_steps=self._history.executed - self._history.completed,
            l2_norm_clip=self._step.l2_norm_clip,
            noise_source=self._step.noise.source,
        )

    def canaries(self) -> CanaryScores | None:
        """What the audit's canaries came to; None without an audit."""
        if self._members is None:
            return None
        is_member = np.zeros(self._resolved.parameters.audit_canaries, bool)
        is_member[self._members] = True
        return CanaryScores(self._step.canary_scores, is_member)

    def _units(self, data: ColumnarDataset) -> np.ndarray | None:
        parameters = self._resolved.parameters
        if parameters.privacy_unit == "example":
            return None
        if data.user_ids is None or parameters.max_records_per_user is None:
            raise ParameterError(
                f"privacy_unit='user' needs the records' user ids, and there are none. Train on data.with_users("
                f"{parameters.user_id_key!r})."
            )
        return records_of_users(data.user_ids, max_records_per_user=parameters.max_records_per_user)

    def _make_sampler(self, num_units: int) -> Sampler:
        parameters = self._resolved.parameters
        if parameters.sampling == "poisson":
            num_members = 0 if self._members is None else len(self._members)
            probability = self._resolved.sampling_probability
            return PoissonSampler(num_units=num_units + num_members, sampling_probability=probability)
        return ShuffledPasses(
            num_units=num_units,
            batch_size=int(self._settings.expected_batch_size),
            steps_per_pass=_steps_per_pass(self._resolved),
        )

    def _make_noise(self, deterministic_seed: int | None, size: int) -> Noise:
        parameters = self._resolved.parameters
        gaussian = GaussianNoise(secure=parameters.secure_noise, deterministic_seed=deterministic_seed)
        if parameters.algorithm == "dp_sgd":
            return gaussian
        return TreeNoise(gaussian, size=size, max_steps=_steps_per_pass(self._resolved))

    def _draw(self) -> np.ndarray:
        drawn = self._sampler.draw()
        if self._members is None:
            return drawn
        # Members of the audit are units like any other to the sampler; those left out never take part.
        canaries = drawn >= self._num_units
        drawn[canaries] = self._num_units + self._members[drawn[canaries] - self._num_units]
        return drawn

    def _count_pass(self, steps: int) -> None:
        begins = (self._sampler.batches_drawn - steps) % self._resolved.steps_per_pass == 0  # type: ignore[operator]
        if begins:
            self._passes.append(0)
        self._passes[-1] += steps
        if self._sampler.pass_ended:
            self._step.noise.restart()

    def _all_passes(self) -> list[int] | None:
        if self._resolved.steps_per_pass is None:
            return None
        earlier = [part for steps in self._history.attempts for part in self._resolved.passes(steps)]
        return [*earlier, *self._passes]

    @staticmethod
    def _flip_coins(num_canaries: int) -> np.ndarray | None:
        """Each canary is a member with probability one half; from the operating system, as everything secret."""
        if not num_canaries:
            return None
        coins = np.frombuffer(secrets.token_bytes(num_canaries), np.uint8) & 1
        return np.flatnonzero(coins)


def planned(resolved: ResolvedParameters, noise_multiplier: float | None) -> DPMechanism | NoMechanism:
    """The mechanism of a run that is executed as it was planned, as `PrivateMechanism.executed` will say it.

    Args:
      resolved: The run.
      noise_multiplier: As calibrated; None only without privacy.

    Raises:
      ParameterError: If there is no noise multiplier or no expected batch size, or its numbers do not go together.
    """
    if not resolved.parameters.enabled:
        return NoMechanism(steps=resolved.steps)
    if noise_multiplier is None:
        raise ParameterError("noise_multiplier is not set. Call calibrate_noise_multiplier() or give noise_multiplier.")
    noise_multiplier = _validate.closed_interval(
        MIN_NOISE_MULTIPLIER, MAX_NOISE_MULTIPLIER, noise_multiplier=noise_multiplier
    )
    settings = StepSettings.of(resolved, noise_multiplier)
    return _record(
        resolved,
        settings,
        sampling_probability=resolved.sampling_probability,
        steps=resolved.steps,
        passes=None if resolved.steps_per_pass is None else resolved.passes(resolved.steps),
        lost_steps=0,
        l2_norm_clip=settings.l2_norm_clip,
        noise_source="os_entropy_secure" if resolved.parameters.secure_noise else "os_entropy",
    )


def _record(
    resolved: ResolvedParameters,
    settings: StepSettings,
    *,
    sampling_probability: float,
    steps: int,
    passes: list[int] | None,
    lost_steps: int,
    l2_norm_clip: float,
    noise_source: NoiseSource,
) -> DPMechanism:
    """Args: the run, its settings, and what was executed of it; the clip at its end."""
    adaptive = settings.adaptive_clip
    return DPMechanism(
        kind=resolved.parameters.algorithm,  # type: ignore[arg-type] # one of the literals
        sampling=resolved.parameters.sampling,  # type: ignore[arg-type]
        sampling_probability=sampling_probability,
        steps=steps,
        passes=passes,
        lost_steps=lost_steps,
        noise_multiplier=settings.noise_multiplier,
        l2_norm_clip=settings.l2_norm_clip,
        adaptive_clipping=None
        if adaptive is None
        else AdaptiveClipping(**dataclasses.asdict(adaptive), final_l2_norm_clip=l2_norm_clip),
        expected_batch_size=settings.expected_batch_size,
        noise_source=noise_source,
    )


def _steps_per_pass(resolved: ResolvedParameters) -> int:
    if resolved.steps_per_pass is None:
        raise InternalError(f"Training in passes needs steps_per_pass={resolved.steps_per_pass!r}.")
    return resolved.steps_per_pass
