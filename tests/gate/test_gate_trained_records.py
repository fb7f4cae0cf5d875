"""The rule that the attack is on the records trained on: strangers, parts and duplicates are refused, whoever counted them."""

from typing import Any

import evidence
import numpy as np
import pytest

from tfx_privacy.attacks import trained_records
from tfx_privacy.attacks.trained_records import SKETCH_SIZE, Matcher, SideFound, TrainedRecords
from tfx_privacy.gate import decide as gate
from tfx_privacy.gate.rules import trained_records as rule
from tfx_privacy.gate.verdict import RuleResult, Verdict
from tfx_privacy.guarantee.record import Population

RULE = "trained_records"


def decide(guarantee: dict[str, Any] | None = None, **evaluation: Any) -> Verdict:
    found = evidence.make_evidence(
        guarantee=evidence.make_guarantee(**(guarantee or {})), evaluation=evidence.make_evaluation(**evaluation)
    )
    policy = evidence.POLICY.model_copy(update={"max_tpr_at_fpr": 1.0})  # these rows have no rates
    return gate.decide(found, policy, now=evidence.NOW)


def result(verdict: Verdict) -> RuleResult:
    (found,) = (rule for rule in verdict.rules if rule.rule == RULE)
    return found


def refusal(verdict: Verdict) -> str:
    """What the rule says; it refuses, and nobody may excuse it."""
    assert not verdict.blessed
    assert result(verdict).status != "passed"
    return result(verdict).explanation


def side(num_records: int, num_sampled: int, num_trained_on: int) -> SideFound:
    return SideFound(num_records=num_records, num_sampled=num_sampled, num_trained_on=num_trained_on)


def test_the_records_that_were_trained_on_pass() -> None:
    verdict = decide()
    assert verdict.blessed
    assert result(verdict).value == "4096 of 4096 sampled members"
    assert "4096 of the 4096 sampled records that were trained on are members" in result(verdict).explanation


@pytest.mark.parametrize("source", ["counted", "declared"])
@pytest.mark.parametrize("count", [1_000, 600, 9_999, 10_001])
def test_fewer_or_more_members_than_were_read(source: Any, count: int) -> None:
    """A second ExampleGen with a part of the records, and a population that was declared."""
    population = Population(records=10_000, source=source)
    read = evidence.trained_records(count, 5_000, num_read=10_000, num_used=10_000, num_units=10_000)
    verdict = decide({"population": population}, num_members=count, trained_records=read)
    assert f"scored {count} members, but the trainer read 10000 records" in refusal(verdict)


@pytest.mark.parametrize(
    ("population", "says"),
    [
        (Population(records=1, source="declared"), "population is 1, declared"),
        (Population(records=1_000_000, source="declared"), "population is 1000000, declared, and may differ by 10%"),
        (Population(records=9_000, source="declared"), "trained on 10000 records"),
        (Population(records=11_200, source="declared"), "trained on 10000 records"),
        (Population(records=9_999, source="counted"), "population is 9999, counted"),
    ],
)
def test_a_population_that_is_not_the_one_read(population: Population, says: str) -> None:
    assert says in refusal(decide({"population": population}))


@pytest.mark.parametrize("declared", [9_200, 10_000, 11_000])
def test_a_declared_population_need_not_be_exact(declared: int) -> None:
    assert decide({"population": Population(records=declared, source="declared")}).blessed


def test_delta_is_held_against_what_was_read() -> None:
    """A declared population just small enough for delta, of a training that read too many records for it."""
    changes = {"population": Population(records=95_000, source="declared"), "target_delta": 1e-5}
    numbers = {"num_members": 100_000, "trained_records": evidence.trained_records(100_000)}
    assert "delta=1e-05 is not below 1 / 100000, the number of records" in refusal(decide(changes, **numbers))


def test_users_are_counted_as_users() -> None:
    users = {
        "privacy_unit": "user",
        "max_records_per_user": 5,
        "population": Population(records=3_000, source="counted"),
    }
    assert result(decide(users, trained_records=evidence.trained_records(num_units=3_000))).status == "passed"
    found = refusal(decide(users, trained_records=evidence.trained_records(num_units=2_999)))
    assert "trained on 2999 users, but the guarantee's population is 3000, counted" in found


def test_evidence_that_is_missing_or_of_another_training() -> None:
    assert "does not say which records" in refusal(decide({"trained_records_digest": None}))
    assert "found no trained_records.json next to the model" in refusal(decide(trained_records=None))
    other = evidence.trained_records(digest=evidence.OTHER_DIGEST)
    assert "it was changed, or is of another training" in refusal(decide(trained_records=other))
    # Neither says it: None is no digest that two could share.
    assert refusal(decide({"trained_records_digest": None}, trained_records=None))


def test_what_was_held_against_the_file_is_what_was_attacked() -> None:
    for numbers in ((9_999, 5_000), (10_000, 4_999)):
        read = evidence.trained_records(*numbers, num_read=10_000, num_used=10_000, num_units=10_000)
        assert "Evaluate again" in refusal(decide(trained_records=read))


@pytest.mark.parametrize(("used", "blessed"), [(10_000, True), (9_900, True), (9_899, False), (100, False)])
def test_records_that_training_dropped_dilute_the_attack(used: int, blessed: bool) -> None:
    population = Population(records=min(used, 10_000), source="declared")
    read = evidence.trained_records(num_used=used, num_units=used)
    verdict = decide({"population": population}, trained_records=read)
    assert verdict.blessed is blessed
    assert blessed or f"used {used} of the 10000 records" in refusal(verdict)


@pytest.mark.parametrize(
    ("trained_on", "blessed"), [(SKETCH_SIZE, True), (4_072, True), (4_062, False), (2_048, False), (0, False)]
)
def test_the_share_of_members_trained_on_by_a_lower_bound(trained_on: int, blessed: bool) -> None:
    """28 strangers in 4,096 are the most of which 95 % confidence leaves 99 %: scipy.stats.beta.ppf(0.05, 4068, 29)."""
    read = evidence.trained_records(
        members=side(10_000, SKETCH_SIZE, trained_on), num_seen=min(trained_on, SKETCH_SIZE)
    )
    verdict = decide(trained_records=read)
    assert verdict.blessed is blessed
    assert blessed or f"Only {trained_on} of 4096 sampled members were trained on" in refusal(verdict)


def test_few_sampled_members_show_nothing() -> None:
    """298 hits of 298 leave 99 % in doubt, 299 do not: 0.05 ** (1 / 298) < 0.99 <= 0.05 ** (1 / 299)."""
    for number, blessed in ((298, False), (299, True)):
        read = evidence.trained_records(members=side(10_000, number, number), sketch_size=SKETCH_SIZE, num_seen=number)
        found = result(decide(trained_records=read))
        assert ("sampled members were trained on, which is" not in found.explanation) is blessed


@pytest.mark.parametrize(("seen", "blessed"), [(SKETCH_SIZE, True), (4_072, True), (4_062, False), (1, False)])
def test_what_was_trained_on_must_be_attacked(seen: int, blessed: bool) -> None:
    """Members that are a few trained records again and again."""
    verdict = decide(trained_records=evidence.trained_records(num_seen=seen))
    assert verdict.blessed is blessed
    assert blessed or f"Only {seen} of 4096 sampled records that were trained on are members" in refusal(verdict)


@pytest.mark.parametrize(
    ("sampled", "trained_on", "blessed"),
    [(2_048, 0, True), (2_048, 200, True), (2_048, 400, False), (8, 8, False), (0, 0, True)],
)
def test_non_members_that_were_trained_on(sampled: int, trained_on: int, blessed: bool) -> None:
    read = evidence.trained_records(nonmembers=side(5_000, sampled, trained_on))
    verdict = decide(trained_records=read)
    assert verdict.blessed is blessed
    assert blessed or f"{trained_on} of {sampled} sampled non-members were trained on" in refusal(verdict)


def test_a_sample_of_more_than_were_due_does_not_thin_out_what_was_found() -> None:
    """Of 5,000 others 2,048 were due; 400 hits among them are 19 %, whoever says that all 5,000 were sampled."""
    assert "400 of 5000 sampled non-members" in refusal(
        decide(trained_records=evidence.trained_records(nonmembers=side(5_000, 5_000, 400)))
    )
    # Fewer than were due show what they show: one of them may stand often.
    assert "40 of 200 sampled non-members" in refusal(
        decide(trained_records=evidence.trained_records(nonmembers=side(5_000, 200, 40)))
    )
    # More hits than there should be records to hit.
    assert refusal(decide(trained_records=evidence.trained_records(nonmembers=side(50, 50, 50)), num_nonmembers=50))


@pytest.mark.parametrize(("distinct", "blessed"), [(1, False), (99, False), (100, True), (4_095, True)])
def test_one_record_again_and_again_is_no_data(distinct: int, blessed: bool) -> None:
    read = evidence.trained_records(
        num_distinct=distinct,
        sketch_size=distinct,
        num_seen=distinct,
        members=side(10_000, 10_000, 10_000),
        nonmembers=side(5_000, 5_000, 0),
    )
    verdict = decide(trained_records=read, min_records=100)
    assert verdict.blessed is blessed
    assert blessed or f"Only {distinct} of the 10000 records that the trainer read are different" in refusal(verdict)


def small(**changes: Any) -> Verdict:
    """A training of 1,000 records, whose sketch holds all of them."""
    rows = [evidence.row(members=1_000), evidence.row(attack="blind", members=1_000)]
    rows += [evidence.row(feature="class", value=str(value), members=500) for value in (0, 1)]
    return decide(
        {"population": Population(records=1_000, source="counted")},
        results=rows,
        slice_features=["class"],
        num_members=1_000,
        num_nonmembers=500,
        trained_records=evidence.trained_records(1_000, 500, **changes),
    )


def test_a_small_training_is_judged_exactly() -> None:
    assert small().blessed
    assert small(members=side(1_000, 1_000, 990), num_seen=990).blessed
    assert refusal(small(members=side(1_000, 1_000, 989), num_seen=989))
    assert small(nonmembers=side(500, 500, 50)).blessed
    assert "51 of 500" in refusal(small(nonmembers=side(500, 500, 51)))


@pytest.mark.parametrize(("distinct", "most"), [(1_000, 50), (950, 99), (800, 249), (500, 500)])
def test_a_model_that_sees_many_records_as_one_sees_them_so_on_both_sides(distinct: int, most: int) -> None:
    """Of 1,000 trained records; where none repeats another, no more than 50 of 500 others may equal one."""
    read = {"num_distinct": distinct, "sketch_size": distinct, "num_seen": distinct}
    coarse = {**read, "members": side(1_000, 1_000, 1_000)}
    assert small(**coarse, nonmembers=side(500, 500, most)).blessed
    assert most == 500 or refusal(small(**coarse, nonmembers=side(500, 500, most + 2)))


def test_records_of_coarse_features_keep_the_limit() -> None:
    """Strangers drawn as the trained records were, however few values there are: at most twice the repetitions."""
    random = np.random.default_rng(20260102)
    for values in (2, 30, 300, 1_000, 3_000, 100_000):
        weights = 1.0 / np.arange(1, values + 1)
        trained, others = random.choice(values, (2, 2_000), p=weights / weights.sum())
        known = np.unique(trained)
        found = evidence.trained_records(
            2_000,
            2_000,
            num_distinct=len(known),
            sketch_size=len(known),
            num_seen=len(known),
            nonmembers=side(2_000, 2_000, int(np.isin(others, known).sum())),
        )
        assert list(rule._of_shares(found)) == []


def test_objects_that_contradict_themselves_are_refused() -> None:
    """What no file can say, an object can: the rule looks again."""
    honest = evidence.trained_records()
    for changes in (
        {"num_seen": SKETCH_SIZE + 1},
        {"num_used": 20_000},
        {"sketch_size": 0},
        {"members": honest.members.model_copy(update={"num_trained_on": 5_000})},
        {"num_seen": float("nan")},
    ):
        record = evidence.make_evaluation().model_copy(update={"trained_records": honest.model_copy(update=changes)})
        found = gate.decide(evidence.make_evidence(evaluation=record), evidence.POLICY, now=evidence.NOW)
        assert refusal(found)


def test_the_rule_says_where_a_function_of_the_user_read() -> None:
    verdict = decide(trained_records=evidence.trained_records(reader="input_fn"))
    assert verdict.blessed
    assert "input_fn read them, and may have read others" in result(verdict).explanation


def of_records(trained: np.ndarray, members: np.ndarray, others: np.ndarray) -> Verdict:
    """The verdict on real sketches and matches of records, given by their keys."""
    secret = "5a" * 32
    record = TrainedRecords(
        secret_key=secret,
        features="examples",
        key_features=["label"],
        num_read=len(trained),
        num_distinct=len(np.unique(trained)),
        num_used=len(trained),
        num_units=len(trained),
        reader="default",
        sketch=trained_records.sketch_of(trained, secret),
    )
    matcher = Matcher(record)
    found = trained_records.found(record, matcher.match(members), matcher.match(others))
    wide = (0.5, 0.45, 0.55)
    rows = [evidence.row(attack=attack, members=len(members), auc=wide) for attack in ("loss", "blind")]
    rows += [
        evidence.row(feature="class", value=str(value), members=(len(members) + value) // 2, auc=wide)
        for value in (0, 1)
    ]
    sizes = [len(others), len(others), len(others) // 2, (len(others) + 1) // 2]
    rows = [row.model_copy(update={"num_nonmembers": size}) for row, size in zip(rows, sizes, strict=True)]
    return decide(
        {
            "population": Population(records=len(trained), source="declared"),
            "trained_records_digest": record.file_digest,
        },
        results=rows,
        slice_features=["class"],
        num_members=len(members),
        num_nonmembers=len(others),
        trained_records=found,
    )


KEYS = np.random.default_rng(0).integers(0, 2**63, 60_000).astype(np.uint64)


@pytest.mark.parametrize("size", [1_000, 20_000])
def test_whole_sets_of_records(size: int) -> None:
    trained, strangers, others = KEYS[:size], KEYS[20_000 : 20_000 + size], KEYS[40_000 : 40_000 + size // 2]
    assert of_records(trained, trained, others).blessed
    assert of_records(trained, trained[::-1], others).blessed
    few = max(1, size // 500)
    assert of_records(trained, np.concatenate([trained[few:], strangers[:few]]), others).blessed
    half = size // 2
    refused = {
        "strangers": (strangers, others),
        "half strangers": (np.concatenate([trained[:half], strangers[half:]]), others),
        "2 % strangers": (np.concatenate([trained[size // 50 :], strangers[: size // 50]]), others),
        "a part": (trained[:half], others),
        "a part twice": (np.tile(trained[:half], 2), others),
        "all twice": (np.tile(trained, 2), others),
        "others are the other half": (np.concatenate([trained[:half], strangers[half:]]), trained[half:]),
        "others were trained on": (trained, trained[:half]),
    }
    for name, (members, nonmembers) in refused.items():
        verdict = of_records(trained, members, nonmembers)
        assert RULE in {rule.rule for rule in verdict.failures}, name
    # Duplicates that the trainer read as well are no reason.
    twice = np.concatenate([trained[:half], trained[:half]])
    assert of_records(twice, twice, others).blessed
