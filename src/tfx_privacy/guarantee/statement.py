"""The guarantee in prose."""

from __future__ import annotations

from collections.abc import Iterator

from tfx_privacy.accounting.rounding import rounded_up
from tfx_privacy.guarantee.coverage import covered, listed
from tfx_privacy.guarantee.mechanism import AdaptiveClipping, DPMechanism, NoMechanism
from tfx_privacy.guarantee.recomputation import epsilon_of_this_run
from tfx_privacy.guarantee.record import Audit, CoveredRelease, Epsilon, PrivacyGuarantee
from tfx_privacy.guarantee.spending import Beside

_MAX_NAMES = 20
_COMPONENTS = {
    "transform": "preprocessing",
    "statistics": "statistics",
    "evaluation": "metrics",
    "synthetic": "synthetic records",
}


def write_statement(guarantee: PrivacyGuarantee) -> str:
    """The guarantee in prose: what is protected, how it was computed, and what is not covered."""
    return " ".join([*_statement(guarantee), *_reference_sentences(guarantee)])


def _statement(guarantee: PrivacyGuarantee) -> list[str]:
    mechanism = guarantee.mechanism
    if isinstance(mechanism, NoMechanism):
        return [
            f"This model was trained for {mechanism.steps} steps WITHOUT differential privacy, as its parameters ask "
            "(enabled=False). Epsilon is infinite: nothing limits what the model reveals about its training records."
        ]
    if not mechanism.is_private:
        return [
            "NOT PRIVATE: this model was trained with a deterministic noise stream, which exists for tests only. "
            "Whoever knows the seed can subtract the noise. Epsilon is infinite."
        ]
    return [
        *_guarantee_sentences(guarantee, mechanism),
        *_release_sentences(guarantee),
        *_base_sentences(guarantee),
        *_limits(guarantee),
    ]


def _guarantee_sentences(guarantee: PrivacyGuarantee, mechanism: DPMechanism) -> list[str]:
    other = "" if guarantee.epsilon_pld is None else f" (by Renyi DP: {_shown(guarantee.epsilon_rdp)})"
    together = ", together with what was released of the records besides," if guarantee.releases else ","
    return [
        f"The release of this model's weights, and of every intermediate one{together} is differentially private with "
        f"epsilon={_shown(guarantee.epsilon_rdp if guarantee.epsilon_pld is None else guarantee.epsilon_pld)} at "
        f"delta={guarantee.target_delta:g}{other}, with {_unit(guarantee)} as privacy unit, under "
        f"{_relation(guarantee)} changes the probability of any outcome by at most a factor exp(epsilon), except with "
        "probability delta.",
        *_mechanism_sentences(guarantee, mechanism),
        *_source_sentences(guarantee),
        *_declared_sentences(guarantee),
        _population_sentence(guarantee),
        *_read_sentences(guarantee),
        f"Epsilon was computed by dp-accounting {guarantee.accountant.version}. The noise was keyed by the operating "
        "system and the key was not kept.",
        *_audit_sentences(guarantee.audit),
    ]


def _unit(guarantee: PrivacyGuarantee) -> str:
    if guarantee.privacy_unit == "example":
        return "one example (one record)"
    told = f"told apart by {guarantee.user_id_key!r}, " if guarantee.user_id_key is not None else ""
    return f"one user ({told}of whom at most {guarantee.max_records_per_user} records were used)"


def _relation(guarantee: PrivacyGuarantee) -> str:
    one = "any one record" if guarantee.privacy_unit == "example" else "any one user's data"
    if guarantee.neighboring_relation == "ADD_OR_REMOVE_ONE":
        return f"the add-or-remove-one neighbouring relation: whether {one} was in the training data"
    return f"the zero-out neighbouring relation (REPLACE_SPECIAL): whether {one} was there or an empty one in its place"


def _mechanism_sentences(guarantee: PrivacyGuarantee, mechanism: DPMechanism) -> list[str]:
    unit = "record" if guarantee.privacy_unit == "example" else "user"
    name = "DP-SGD" if mechanism.kind == "dp_sgd" else "DP-FTRL"
    sentences = [
        f"The mechanism that was executed: {mechanism.steps} steps of {name}, {_batches(mechanism, unit)}; each "
        f"{unit}'s gradient was clipped to L2 norm {mechanism.l2_norm_clip:g}, {_noise(mechanism)} was added to the "
        f"sum, and the sum divided by the constant {mechanism.expected_batch_size:g}."
    ]
    if mechanism.adaptive_clipping is not None:
        sentences.append(_adaptive_sentence(mechanism, mechanism.adaptive_clipping, unit))
    if mechanism.lost_steps:
        sentences.append(
            f"The run was broken off and resumed: {mechanism.lost_steps} of the steps were lost, and are counted."
        )
    return sentences


def _source_sentences(guarantee: PrivacyGuarantee) -> list[str]:
    named = {source.model_class for source in guarantee.sources if source.model_class is not None}
    if not named:
        return []
    told = [
        f"{source.parameter} {'by the privacy argument and the model' if source.source == 'privacy' else 'by the model'}"
        for source in guarantee.sources
    ]
    return [
        f"The model has tensorflow-privacy's {' and '.join(sorted(named))}, in whose place Keras' own class with the same "
        f"settings was trained: this package clipped and added the noise, as stated ({', '.join(told)})."
    ]


def _declared_sentences(guarantee: PrivacyGuarantee) -> list[str]:
    if not guarantee.declared_record_wise:
        return []
    return [
        "The clipping relies on the word of the model's author that these treat each record by itself, which nothing "
        f"proved: {', '.join(guarantee.declared_record_wise)}."
    ]


def _noise(mechanism: DPMechanism) -> str:
    if mechanism.adaptive_clipping is not None:
        sum_noise = mechanism.adaptive_clipping.sum_noise_multiplier
        return f"Gaussian noise of standard deviation {sum_noise:.6g} times the clip"
    if mechanism.kind == "dp_ftrl":
        deviation = f"{mechanism.noise_multiplier:.6g} times that"
        return f"the noise of a binary tree (DP-FTRL), each of whose nodes has a standard deviation {deviation},"
    return f"Gaussian noise of standard deviation {mechanism.noise_multiplier:.6g} times that"


def _batches(mechanism: DPMechanism, unit: str) -> str:
    if mechanism.passes is None:
        return (
            f"each on a batch into which every {unit} entered independently with probability "
            f"{mechanism.sampling_probability:.6g} (Poisson sampling)"
        )
    return (
        f"in {len(mechanism.passes)} passes over the data, in each of which every {unit} took part once; no "
        "amplification by the order is claimed"
    )


def _adaptive_sentence(mechanism: DPMechanism, adaptive: AdaptiveClipping, unit: str) -> str:
    return (
        f"The clip followed the {adaptive.target_quantile:g}-quantile of the gradients' norms, and ended at "
        f"{adaptive.final_l2_norm_clip:.3g}, by a count of the {unit}s within it that had noise of standard deviation "
        f"{adaptive.count_standard_deviation:g}; sum and count together have the noise multiplier "
        f"{mechanism.noise_multiplier:.6g}."
    )


def _population_sentence(guarantee: PrivacyGuarantee) -> str:
    units = "records" if guarantee.privacy_unit == "example" else "users"
    number = guarantee.population.records
    if guarantee.population.source == "declared":
        return f"The number of {units}, {number}, was declared before training."
    return f"The number of {units}, {number}, was counted from the data and is treated as public."


def _read_sentences(guarantee: PrivacyGuarantee) -> list[str]:
    if guarantee.trained_records_digest is None:
        return []
    return [
        f"Which records were read is written down in the private file {guarantee.trained_records_digest[:19]}... next to "
        "the model: an evaluation shows with it that it attacks them."
    ]


def _audit_sentences(audit: Audit | None) -> list[str]:
    if audit is None:
        return []
    return [
        f"An audit with {audit.num_canaries} canaries in this run shows epsilon >= {audit.epsilon_lower_bound:.3g} "
        f"with confidence {audit.confidence:g}. It tests the noise and the clipping; it is no evidence that epsilon is "
        "smaller than stated."
    ]


def _release_sentences(guarantee: PrivacyGuarantee) -> Iterator[str]:
    """What else the one epsilon is of, and how it was put together."""
    if not guarantee.releases:
        return
    words = covered(guarantee)
    if not words:
        yield "Releases were made of the records besides, and nothing bounds them and the training together."
        return
    stated = guarantee.epsilon_rdp if guarantee.epsilon_pld is None else guarantee.epsilon_pld
    yield f"epsilon={_shown(stated)} at delta={guarantee.target_delta:g} covers {listed(words)}."
    yield f"Released besides: {'; '.join(_release_text(release) for release in guarantee.releases[:_MAX_NAMES])}."
    if len(guarantee.releases) > _MAX_NAMES:
        yield f"{len(guarantee.releases) - _MAX_NAMES} more releases are in the record, and in epsilon."
    unit = "record" if guarantee.privacy_unit == "example" else "user"
    yield (
        f"ExampleGen put each {unit} into one split, so the split counts from which most was taken."
        if Beside.of(guarantee).are_disjoint
        else "All of it is added up with the training, as if all had read the same records."
    )
    yield f"Of the training alone epsilon would be {_shown(epsilon_of_this_run(guarantee))}."


def _release_text(release: CoveredRelease) -> str:
    thresholds = f", delta={release.delta_spent:g} spent by its thresholds" if release.delta_spent else ""
    return (
        f"{', '.join(release.kinds)} by the component for {_COMPONENTS[release.component]}, of split"
        f"{'s' if len(release.splits) > 1 else ''} {_listed(release.splits)}, noise multiplier "
        f"{release.noise_multiplier:.6g}{thresholds}"
    )


def _base_sentences(guarantee: PrivacyGuarantee) -> list[str]:
    base = guarantee.base_model
    if base is None:
        return []
    began = f"Training began from the weights of another model ({base.model_digest[:19]}...)"
    if not base.is_private:
        return [
            f"{began}, which the pipeline's author declared public: what it reveals about the people in its own "
            "training data is not covered, and nothing checked that they are not among these."
        ]
    if guarantee.epsilon_rdp == "inf":
        return [f"{began}, which was trained on private records, and nothing bounds both trainings together."]
    assert base.target_delta is not None
    own = _shown(epsilon_of_this_run(guarantee))
    releases = f", {len(base.releases)} release(s) of preprocessing or statistics" if base.releases else ""
    return [
        f"{began}, whose guarantee states epsilon={_shown(base.epsilon)} at delta={base.target_delta:g}. Its "
        f"{len(base.trainings)} training(s){releases} and this one are added up, as if on the same records: epsilon above "
        f"is of all of them together, of this one alone it would be {own}."
    ]


def _limits(guarantee: PrivacyGuarantee) -> list[str]:
    sentences = [_ledger_sentence(guarantee)]
    if guarantee.privacy_unit == "example":
        sentences.insert(0, "Somebody with several records has weaker protection than this.")
    uncovered = [f"{item.artifact} ({item.detail})" for item in guarantee.scope if not item.covered]
    if uncovered:
        sentences.append(f"NOT covered, because it read the data without differential privacy: {'; '.join(uncovered)}.")
    sentences.append(_beside_sentence(guarantee))
    return sentences


def _beside_sentence(guarantee: PrivacyGuarantee) -> str:
    released = {release.component for release in guarantee.releases}
    if released & {"statistics", "evaluation"}:
        others = "Evaluation results" if "evaluation" not in released else "Data statistics, a schema"
        return (
            f"{others} and whatever else the same pipeline computes from the records without such a release are not covered; "
            "they are not part of the model."
        )
    return (
        "Data statistics, the schema and evaluation results of the same pipeline are not covered either; they are not "
        "part of the model."
    )


def _ledger_sentence(guarantee: PrivacyGuarantee) -> str:
    if guarantee.ledger is None:
        return "No budget ledger was used: other runs on the same data, tuning included, add to what is spent."
    blocks = f", blocks {_listed(guarantee.ledger.blocks)}" if guarantee.ledger.blocks else ""
    return (
        f"The run was charged, before it read a record, to the budget of dataset {guarantee.dataset_id!r}{blocks} in "
        f"ledger {guarantee.ledger.ledger_id[:8]}, entry {guarantee.ledger.sequence}: other runs that were charged "
        "there share this budget; what was done with the data elsewhere is not counted."
    )


def _listed(names: list[str]) -> str:
    """Names in a row; the record has all of many."""
    rest = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + rest


def _reference_sentences(guarantee: PrivacyGuarantee) -> list[str]:
    references = guarantee.references
    if references is None:
        return []
    unit = "record" if guarantee.privacy_unit == "example" else "user"
    sentences = [
        f"{references.num_models} reference models were trained by the same mechanism on halves of the training and "
        f"evaluation records, for attacks to compare this model with; each {unit} is in the training data of "
        f"{references.num_models // 2} of them. They are not part of what is released, and this guarantee's epsilon "
        "does not cover them. The sizes of the halves are treated as public."
    ]
    if references.lost_trainings:
        sentences.append(
            f"{references.lost_trainings} more such trainings were lost when a run was broken off, and are counted as "
            f"if each {unit} had been in all of them."
        )
    if references.epsilon_all == "inf":
        sentences.append("Nothing limits what they reveal about these records.")
    else:
        sentences.append(
            f"Whoever can read all of them and this model learns about one {unit} at most what "
            f"epsilon={_shown(references.epsilon_all)} at delta={guarantee.target_delta:g} allows."
        )
    sentences.append(
        "Never publish them, nor the file next to them, which names their records by hashes without any noise, as "
        "safe as the records themselves."
    )
    return sentences


def _shown(epsilon: Epsilon | None) -> str:
    return "infinite" if epsilon is None else rounded_up(float(epsilon))
