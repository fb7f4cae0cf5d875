"""What a user asks of a private release: how much noise, at which delta, and whose presence it hides."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tfx_privacy import _validate
from tfx_privacy.accounting.composition import MAX_NOISE_MULTIPLIER, MIN_NOISE_MULTIPLIER
from tfx_privacy.accounting.parameters import MIN_TARGET_EPSILON, PRIVACY_UNITS
from tfx_privacy.errors import ParameterError
from tfx_privacy.records import strict_json

NEIGHBORING_RELATIONS = ("ADD_OR_REMOVE_ONE", "REPLACE_SPECIAL")

MAX_RECORDS_PER_USER = 1_000_000
# Of target_delta, what the thresholds of all vocabularies may spend together.
_SELECTION_SHARE = 0.01


@dataclasses.dataclass(frozen=True, kw_only=True)
class DPPreprocessing:
    """The privacy parameters of one release: of all analyzers of a `preprocessing_fn`, or of all statistics of a split.

    >>> DPPreprocessing(target_epsilon=0.3, target_delta=1e-6).selection_delta
    1e-08
    """

    noise_multiplier: float | None = None
    """Noise standard deviation divided by what one unit moves, of the whole release (unitless); more is more private."""
    target_epsilon: float | None = None
    """Epsilon (nats) that the release may spend by itself; `noise_multiplier` is calibrated to it."""
    target_delta: float
    """Delta at which that epsilon is stated, in (0, 1); usually the training's."""
    selection_delta: float | None = None
    """Part of `target_delta` that the thresholds of all vocabularies spend together; left out, a hundredth of it."""
    shares: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Weight of an analyzer's or a feature's part of the budget, by its name; 1 where it is left out."""
    privacy_unit: str = "example"
    """Whose presence is hidden: one record ("example"), or all records of one person ("user")."""
    user_id_key: str | None = None
    """Name of the feature that tells users apart; needed for `privacy_unit="user"`."""
    max_records_per_user: int | None = None
    """Records that are used of one user at most, chosen by their hash; needed for `privacy_unit="user"`."""
    neighboring_relation: str = "ADD_OR_REMOVE_ONE"
    """Which datasets are neighbours, as the training's: "REPLACE_SPECIAL" for a training that reads in passes."""

    def __post_init__(self) -> None:
        self._set("target_delta", _validate.open_interval(0.0, 1.0, target_delta=self.target_delta))
        if (self.noise_multiplier is None) == (self.target_epsilon is None):
            raise ParameterError(
                f"Expected one of noise_multiplier={self.noise_multiplier!r} and target_epsilon={self.target_epsilon!r}, not "
                "both and not none."
            )
        if self.noise_multiplier is not None:
            allowed = _validate.closed_interval(
                MIN_NOISE_MULTIPLIER, MAX_NOISE_MULTIPLIER, noise_multiplier=self.noise_multiplier
            )
            self._set("noise_multiplier", allowed)
        else:
            target = _validate.real(target_epsilon=self.target_epsilon)
            if not target >= MIN_TARGET_EPSILON:
                raise ParameterError(f"Expected target_epsilon={target!r} >= {MIN_TARGET_EPSILON:g}.")
            self._set("target_epsilon", target)
        spent = self.selection_delta
        if spent is None:
            spent = self.target_delta * _SELECTION_SHARE
        self._set(
            "selection_delta",
            _validate.open_interval(0.0, self.target_delta, "It is a part of target_delta.", selection_delta=spent),
        )
        if not isinstance(self.shares, Mapping) or not all(isinstance(name, str) for name in self.shares):
            raise ParameterError(f"Expected shares={_validate.short(self.shares)} to be weights by name.")
        self._set(
            "shares",
            {name: _validate.positive("", **{f"shares[{name!r}]": share}) for name, share in self.shares.items()},
        )
        _validate.one_of(PRIVACY_UNITS, privacy_unit=self.privacy_unit)
        _validate.one_of(NEIGHBORING_RELATIONS, neighboring_relation=self.neighboring_relation)
        self._check_unit()

    @classmethod
    def from_json(cls, text: str) -> DPPreprocessing:
        """Reads what `to_json` wrote.

        Raises:
          ParameterError: If it is not strict JSON, or names an unknown parameter.
        """
        values = strict_json.parameter(privacy=text)
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(values, dict) or not set(values) <= set(names):
            unknown = sorted(set(values) - set(names)) if isinstance(values, dict) else [values]
            raise ParameterError(f"Unknown privacy parameters {unknown}. Known: {', '.join(names)}.")
        if "target_delta" not in values:
            raise ParameterError("The privacy parameters set no target_delta. Give the training's.")
        return cls(**values)

    def to_json(self) -> str:
        """Writes every field as canonical JSON."""
        return strict_json.dumps(dataclasses.asdict(self), indent=None)

    @property
    def records_of_unit(self) -> int:
        """Records of one unit that are summed at most."""
        return self.max_records_per_user or 1

    def _check_unit(self) -> None:
        if self.privacy_unit == "example":
            if self.user_id_key is not None or self.max_records_per_user is not None:
                raise ParameterError(
                    f"user_id_key={self.user_id_key!r} and max_records_per_user={self.max_records_per_user!r} belong to "
                    "privacy_unit='user'."
                )
            return
        if not self.user_id_key or not isinstance(self.user_id_key, str):
            raise ParameterError(
                f"Expected user_id_key={self.user_id_key!r} to name the feature that tells users apart, for privacy_unit='user'."
            )
        most = _validate.positive_integer(
            "How many records of one user may count?",
            maximum=MAX_RECORDS_PER_USER,
            max_records_per_user=self.max_records_per_user,
        )
        self._set("max_records_per_user", most)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
