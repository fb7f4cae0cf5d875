"""What one epsilon is of: a training, the models that it began from, and what was released of the same records.

The algebra, which everything that states, recomputes, calibrates or shows epsilon has from here:

* what reads the same records composes: Gaussian mechanisms and sampled steps by the accountants, at the guarantee's
  delta less what thresholds have spent of it;
* over splits in which no privacy unit is twice, the largest counts (parallel composition, McSherry 2009,
  https://doi.org/10.1145/1559845.1559850); where that is not shown, all is added up;
* what is without privacy, or for another unit, other users or another relation, is nothing that a sum could be made of.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tfx_privacy.accounting.composition import RELATION_OF_SAMPLING, composed, dp_sgd_event
from tfx_privacy.accounting.epsilon import COARSE_INTERVAL, FINE_INTERVAL, EpsilonBounds, epsilon_bounds
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism
from tfx_privacy.guarantee.record import BaseModel, CoveredRelease, PrivacyGuarantee
from tfx_privacy.releases.record import ExamplesRead, are_same_users

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

_SHOWN_BY = {"example": ("example", "user"), "user": ("user",)}
"""By privacy unit, what splits must be disjoint for: a record of somebody is in one split if all of theirs are."""
# Sums and differences of deltas are rounded by less than this.
_UP = 1 + 2.0**-50


class Group(NamedTuple):
    """Splits whose records are read alike by all that is beside a training."""

    splits: tuple[str, ...]
    """Empty where a unit may be in several, so all count as one."""
    events: tuple[DpEvent, ...]
    """Of what read them, beside the training."""
    delta_spent: float
    """By thresholds, which no accountant knows of; never less than their sum."""
    is_trained_on: bool


class Spending(NamedTuple):
    """All that was taken from the records of a group, composed: what one privacy unit may be part of."""

    event: DpEvent
    delta_spent: float = 0.0
    """By thresholds."""

    def bounds(self, target_delta: float, *, interval: float = FINE_INTERVAL) -> EpsilonBounds | None:
        """Epsilon of all of it together; None where the thresholds alone have spent delta.

        Raises:
          ParameterError, AccountingError: As `epsilon_bounds`.
        """
        left = delta_after_thresholds(target_delta, self.delta_spent)
        if not left > 0.0:
            return None
        return epsilon_bounds(self.event, target_delta=left, value_discretization_interval=interval)


def delta_after_thresholds(target_delta: float, delta_spent: float) -> float:
    """What thresholds leave of delta for the accountants; not positive where they have spent all of it."""
    return target_delta - delta_spent * _UP


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beside:
    """All that is beside a training in its epsilon, and what the training has in common with it."""

    base_model: BaseModel | None = None
    """What training began from."""
    releases: Sequence[CoveredRelease] = ()
    neighboring_relation: str | None = None
    """Of the training; needed with a private base model or with releases."""
    privacy_unit: str | None = None
    """Of the training; needed likewise."""
    user_id_key: str | None = None
    """Of the training; needed likewise where users are the unit."""
    train_splits: Sequence[str] = ()
    examples: Sequence[ExamplesRead] = ()
    """Which were trained on."""
    splits_disjoint_for: str | None = None
    """Unit of which nobody is in two splits of these."""

    @classmethod
    def of(cls, guarantee: PrivacyGuarantee) -> Beside:
        """What a guarantee states."""
        return cls(**{field.name: getattr(guarantee, field.name) for field in dataclasses.fields(cls)})

    @property
    def is_nothing(self) -> bool:
        """Whether epsilon is of the training alone."""
        return not self.releases and not self._has_private_base

    @property
    def interval(self) -> float:
        """Of the privacy losses' grid.

        Each private training is a separate distribution: the coarse grid, which never states less, keeps several
        affordable. A release is composed in closed form, and costs nothing.
        """
        return COARSE_INTERVAL if self._has_private_base else FINE_INTERVAL

    @property
    def are_disjoint(self) -> bool:
        """Whether it is shown that no privacy unit is in two splits, of the very examples that all of it read.

        Two sets of examples may be split in different ways, so the splits of one say nothing of those of another; and
        what does not say which examples it read may have read any.
        """
        shown, own = _SHOWN_BY.get(self.privacy_unit or "", ()), identities(self.examples)
        return (
            self.splits_disjoint_for in shown
            and bool(own)
            and all(
                release.splits_disjoint_for in shown and identities(release.examples) == own
                for release in self.releases
            )
        )

    def groups(self) -> list[Group] | None:
        """What one privacy unit may be part of, beside the training: a group for each set of splits that are read alike.

        Groups that another one holds all of are left out, as they cost no more.

        Returns:
          At least one, with the training or without; None where nothing bounds epsilon, as a part has no privacy, or is for
          another unit or relation.

        Raises:
          ParameterError: If a number is outside the accountants' range.
        """
        parts = self._parts()
        if parts is None:
            return None
        everything = frozenset(range(len(parts)))
        if not self.are_disjoint:
            return [_group((), everything, parts, is_trained_on=True)]
        trained_on = frozenset(self.train_splits)
        splits = sorted(trained_on.union(*(part.splits or () for part in parts)))
        members = {
            split: (frozenset(index for index in everything if parts[index].is_of(split)), split in trained_on)
            for split in splits
        }
        return [
            _group(tuple(each for each in splits if members[each] == found), found[0], parts, is_trained_on=found[1])
            for found in dict.fromkeys(members.values())
            if not any(_is_less(found, other) for other in members.values())
        ]

    @property
    def _has_private_base(self) -> bool:
        return self.base_model is not None and self.base_model.is_private

    def _parts(self) -> list[_Part] | None:
        """None if nothing bounds one of them."""
        found = [*self._of_base(), *(self._of_release(each, frozenset(each.splits)) for each in self.releases)]
        known = [part for part in found if part is not None]
        return known if len(known) == len(found) else None

    def _of_base(self) -> list[_Part | None]:
        """The base model's trainings and releases, whatever data they were on: nothing shows that no unit is in these too."""
        base = self.base_model
        if base is None or not base.is_private:
            return []
        if (base.neighboring_relation, base.privacy_unit) != (self.neighboring_relation, self.privacy_unit):
            return [None]
        if not are_same_users(self.privacy_unit, base.user_id_key, self.user_id_key):
            return [None]
        # What one release gave to both models was taken from the records once.
        shared = {(release.run_id, release.release_digest) for release in self.releases}
        earlier = [each for each in base.releases if (each.run_id, each.release_digest) not in shared]
        return [
            *(self._of_training(training) for training in base.trainings),
            *(self._of_release(release, None) for release in earlier),
        ]

    def _of_training(self, training: DPMechanism | NoMechanism) -> _Part | None:
        if isinstance(training, NoMechanism) or not training.is_private:
            return None
        if RELATION_OF_SAMPLING[training.sampling] != self.neighboring_relation:
            return None
        return _Part(training.event, 0.0, None)

    def _of_release(self, release: CoveredRelease, splits: frozenset[str] | None) -> _Part | None:
        terms = (release.neighboring_relation, release.privacy_unit)
        if not release.is_private or terms != (self.neighboring_relation, self.privacy_unit):
            return None
        if not are_same_users(self.privacy_unit, release.user_id_key, self.user_id_key):
            return None
        event = dp_sgd_event(noise_multiplier=release.noise_multiplier, sampling_probability=1.0, steps=1)
        return _Part(event, release.delta_spent, splits)


class _Part(NamedTuple):
    """One mechanism beside the training."""

    event: DpEvent
    delta_spent: float
    splits: frozenset[str] | None
    """Whose records it read; None where they may be any."""

    def is_of(self, split: str) -> bool:
        """Whether it may have read records of a split."""
        return self.splits is None or split in self.splits


_Members = tuple[frozenset[int], bool]


def _is_less(found: _Members, other: _Members) -> bool:
    return found != other and found[0] <= other[0] and found[1] <= other[1]


def _group(splits: tuple[str, ...], members: frozenset[int], parts: Sequence[_Part], *, is_trained_on: bool) -> Group:
    found = [parts[index] for index in sorted(members)]
    spent = math.fsum(part.delta_spent for part in found) * _UP
    return Group(splits, tuple(part.event for part in found), spent, is_trained_on)


def spendings(mechanism: DPMechanism | NoMechanism, beside: Beside) -> list[Spending] | None:
    """All that was taken from the records of each group of splits, of which epsilon is the largest.

    Args:
      mechanism: Of the training.
      beside: What else epsilon is of.

    Returns:
      At least one; None where nothing bounds epsilon.

    Raises:
      ParameterError: If a number is outside the accountants' range.
    """
    if isinstance(mechanism, NoMechanism) or not mechanism.is_private:
        return None
    if not beside.is_nothing and RELATION_OF_SAMPLING[mechanism.sampling] != beside.neighboring_relation:
        return None
    return spendings_of(mechanism.event, beside)


def spendings_of(event: DpEvent, beside: Beside, *, everywhere: bool = False) -> list[Spending] | None:
    """The same of a composition in the training's place; `everywhere` if records of other splits may be a part of it too."""
    groups = beside.groups()
    if groups is None:
        return None
    return [_together(group, event if everywhere or group.is_trained_on else None) for group in groups]


def _together(group: Group, event: DpEvent | None) -> Spending:
    events = [*group.events] if event is None else [*group.events, event]
    return Spending(events[0] if len(events) == 1 else composed(events), group.delta_spent)


def largest(found: Sequence[Spending] | None, target_delta: float, *, interval: float) -> EpsilonBounds | None:
    """Epsilon of several groups, as no unit is in two of them; None where nothing bounds that of one.

    Raises:
      ParameterError, AccountingError: As `epsilon_bounds`.
    """
    of_groups = [spending.bounds(target_delta, interval=interval) for spending in found or ()]
    known = [each for each in of_groups if each is not None]
    if not known or len(known) != len(of_groups):
        return None
    by_pld = [each.pld for each in known if each.pld is not None]
    return EpsilonBounds(pld=max(by_pld) if len(by_pld) == len(known) else None, rdp=max(each.rdp for each in known))


def identities(examples: Sequence[ExamplesRead]) -> frozenset[ExamplesRead]:
    """What tells examples from others; empty if one of them says nothing at all.

    A copy with canaries holds all records of its original, so it is the same: that no epsilon is true of it is said elsewhere.
    """
    originals = frozenset(each.original for each in examples)
    return frozenset() if ExamplesRead() in originals else originals
