"""A guarantee's batch, share, population and passes must be those of one run: epsilon follows from them."""

import math
from typing import Any

import evidence
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.record import Population, PrivacyGuarantee
from tfx_privacy.training.mechanism import planned


def shuffled(passes: list[int], **changes: Any) -> DPMechanism:
    return evidence.mechanism(sampling="shuffled", passes=passes, steps=sum(passes), **changes)


@pytest.mark.parametrize(
    ("passes", "share"),
    [([400], 0.05), ([20] * 19 + [21], 0.05), ([2], 1.0), ([1, 1, 3], 0.5), ([50], 1 / 49)],
)
@pytest.mark.parametrize("kind", ["dp_sgd", "dp_ftrl"])
def test_a_pass_that_is_longer_than_the_data_is_refused(kind: str, passes: list[int], share: float) -> None:
    """In it a unit would take part more than once, and it is accounted once."""
    with pytest.raises(ValueError, match="more than once over the data"):
        shuffled(passes, kind=kind, sampling_probability=share)


@pytest.mark.parametrize(
    ("passes", "share"),
    [([20] * 20, 0.05), ([20, 7, 20], 0.05), ([1, 1], 1.0), ([49], 1 / 49), ([4], 0.3), ([1], 0.001)],
)
def test_a_pass_over_the_data_or_a_part_of_it(passes: list[int], share: float) -> None:
    assert shuffled(passes, sampling_probability=share).passes == passes


@pytest.mark.parametrize(
    "changes",
    [
        {"sampling_probability": 1e-6, "expected_batch_size": 500.0},
        {"sampling_probability": 0.05, "expected_batch_size": 500.1},
        {"sampling_probability": 0.05, "expected_batch_size": 1.0},
        {"sampling_probability": 5e-324, "expected_batch_size": 1.0},
        {"sampling_probability": 0.0499999, "expected_batch_size": 500.0},
    ],
    ids=str,
)
def test_a_batch_that_is_not_the_share_of_the_population(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"of population=10000 is a batch of .*, not of expected_batch_size="):
        evidence.make_guarantee(evidence.mechanism(**changes))


def test_a_batch_of_less_than_one_unit_is_no_run() -> None:
    """Neither as a base model's training, whose population is not stated."""
    with pytest.raises(ValueError, match="less than one unit"):
        evidence.mechanism(sampling_probability=1e-6)


def test_a_file_that_was_edited_is_not_read() -> None:
    text = evidence.make_guarantee().to_json().replace('"sampling_probability": 0.05', '"sampling_probability": 0.005')
    with pytest.raises(EvidenceError, match="is a batch of 50, not of expected_batch_size=500"):
        PrivacyGuarantee.from_json(text)


@st.composite
def parameters(draw: st.DrawFn) -> DPParameters:
    """What DPTrainer takes."""
    population = draw(st.integers(1, 10**9))
    batch = draw(st.integers(1, population))
    values: dict[str, Any] = {"noise_multiplier": 1.0, "population": population, "target_delta": 1e-10}
    values["steps"] = draw(st.integers(1, 10_000))
    kinds = ["poisson", "share", "shuffled", "dp_ftrl", "adaptive", "user"]
    kind = draw(st.sampled_from(kinds))
    if kind == "share":
        return DPParameters(**values, sampling_probability=min(1.0, batch / population * draw(st.floats(1, 1.5))))
    values["expected_batch_size"] = batch
    if kind in ("shuffled", "dp_ftrl"):
        # Few passes, or the list of their lengths is all that is tested.
        values["steps"] = min(values["steps"], 20 * math.ceil(population / batch))
        values |= {"sampling": "shuffled", "algorithm": "dp_ftrl" if kind == "dp_ftrl" else "dp_sgd"}
    if kind == "adaptive":
        values["clipping"] = "adaptive"
    if kind == "user":
        values |= {"privacy_unit": "user", "user_id_key": "user", "max_records_per_user": 2}
    return DPParameters(**values)


@given(parameters())
def test_no_run_that_can_be_asked_for_contradicts_itself(asked: DPParameters) -> None:
    try:
        resolved = asked.resolve()
    except ParameterError:
        return  # refused before anything is read
    mechanism = planned(resolved, 1.0)
    assert isinstance(mechanism, DPMechanism)
    assert resolved.population is not None
    template = evidence.make_guarantee().model_dump()
    PrivacyGuarantee(
        **{
            **template,
            "mechanism": mechanism,
            "population": Population(records=resolved.population, source="declared"),
            "neighboring_relation": asked.neighboring_relation,
            "privacy_unit": asked.privacy_unit,
            "max_records_per_user": asked.max_records_per_user,
        }
    )
    if mechanism.passes is not None:
        # Attempts that were killed in a pass begin it anew.
        resumed = [*resolved.passes(max(1, resolved.steps // 3)), *mechanism.passes]
        DPMechanism(**{**mechanism.model_dump(), "passes": resumed, "steps": sum(resumed)})
