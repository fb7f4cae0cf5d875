"""Bugs in what is known of a model's outputs, and in what the gate makes of those that no attack saw."""

from __future__ import annotations

from mutants.mutant import Mutant

SERVED = [
    Mutant(
        "what no attack saw may be served", "rules.served:_unseen",
        'return "was not attacked"', 'return ""', "test_served_outputs",
    ),
    Mutant(
        "an output is attacked by its own word", "rules.served:_unseen",
        'output.standing == "attacked" and name in attacked', 'output.standing == "attacked"', "test_served_outputs",
    ),
    Mutant(
        "the same as anything", "rules.served:_unseen",
        'output.standing == "same" and output.same_as in attacked', 'output.standing == "same"', "test_served_outputs",
    ),
    Mutant(
        "one name accepts all", "check_served",
        "name not in policy.unattacked_outputs", "not policy.unattacked_outputs", "test_served_outputs",
    ),
    Mutant(
        "another signature was attacked", "check_served",
        'name not in outputs or outputs[name].standing != "attacked"', "False", "test_served_outputs",
    ),
    Mutant("nothing is served", "check_served", "not outputs", "False", "test_served_outputs"),
    Mutant(
        "a few records are enough", "rules.served:_unseen",
        "record.num_compared >= needed > 0", "True", "test_served_outputs",
    ),
    Mutant(
        "the last batch is never compared", "Comparison.add",
        "found & ways.get(name, set())", "found", "test_same_outputs",
    ),
    Mutant(
        "weights are a feature", "_ways",
        "signature in batch.weightless and key in batch.features and same(values, batch.features[key])",
        "key in batch.features and same(values, batch.features[key])", "test_same_outputs",
    ),
    Mutant(
        "constants are a feature", "_ways",
        "signature in batch.weightless and key in batch.features and same(values, batch.features[key])",
        "signature in batch.weightless and key in batch.features", "test_same_outputs",
    ),
    Mutant(
        "small probabilities are alike", "same",
        "np.minimum(wide, 1.0 - wide), _PROBABILITY_ROUNDING", "np.abs(wide), 1e-4", "test_same_outputs",
    ),
    Mutant(
        "a number is as good as NaN", "same",
        "np.isnan(first) & np.isnan(second)", "np.isnan(first) | np.isnan(second)", "test_same_outputs",
    ),
    Mutant(
        "a constant is evidence", "coarseness:problem",
        "_is_constant(rows)", "False", "test_coarseness",
    ),
    Mutant(
        "rounded scores are evidence", "coarseness:problem",
        "decimals is not None", "False", "test_coarseness",
    ),
    Mutant(
        "labels of an integer type are evidence", "coarseness:problem",
        'rows.dtype.kind != "f"', "False", "test_coarseness",
    ),
    Mutant(
        "saturated scores are evidence", "saturation",
        "not _is_many(saturated)", "True", "test_coarseness",
    ),
    Mutant(
        "any policy's verdict is pushed", "verdict_file:refusal",
        "policy_digest is not None and verdict.policy_digest != policy_digest", "False", "test_verdict",
    ),
]  # fmt: skip
