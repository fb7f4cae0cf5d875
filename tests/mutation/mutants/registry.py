"""Bugs in what the report's first sentence and an entry of the registry say that epsilon covers, and what it is."""

from __future__ import annotations

from mutants.mutant import Mutant

REGISTRY = [
    Mutant(
        "the first sentence leaves out what is not covered", "_promised",
        "left_out = wording.left_out(record)", "left_out = ''", "test_first_sentence",
    ),
    Mutant(
        "only the first that is not covered is named", "coverage:uncovered",
        "dict.fromkeys(outside)", "dict.fromkeys(outside[:1])", "test_first_sentence",
    ),
    Mutant(
        "an infinite epsilon covers the training", "coverage:covered",
        "math.isfinite(guarantee.stated_epsilon)", "True",
        "test_first_sentence::test_an_infinite_epsilon_covers_nothing",
    ),
    Mutant(
        "noise that can be subtracted covers the training", "coverage:covered",
        "isinstance(mechanism, DPMechanism) and mechanism.is_private and math.isfinite(guarantee.stated_epsilon)",
        "isinstance(mechanism, DPMechanism)", "test_first_sentence",
    ),
    Mutant(
        "the training is covered as if there were nothing else", "wording:covers",
        "coverage.uncovered(record)", "False", "test_first_sentence",
    ),
    Mutant(
        "an entry rounds epsilon to the next", "entry:_privacy_loss",
        "_finite(epsilon)", "round(_finite(epsilon), 2)", "test_registry",
    ),
    Mutant(
        "an entry rounds epsilon up", "entry:_privacy_loss",
        "_finite(epsilon)", "float(wording.epsilon(epsilon))", "test_registry",
    ),
    Mutant(
        "an entry states what the file states", "basis:of_guarantee",
        "recomputed_epsilon(record)", "record.stated_epsilon", "test_registry",
    ),
    Mutant(
        "an entry of a report states what the file states", "basis:of_report",
        "recomputed_epsilon(record)", "record.stated_epsilon", "test_registry",
    ),
    Mutant(
        "what is not established is of a private deployment", "basis:of_report",
        "facts.is_established", "True", "test_registry",
    ),
    Mutant(
        "a forged or disproved guarantee is of a private deployment", "basis:of_report",
        "plain.is_established(facts.verdict, record)", "True", "test_registry",
    ),
    Mutant(
        "a refused model is a private deployment", "Basis.objections",
        "not self.verdict.blessed", "False", "test_registry",
    ),
    Mutant(
        "an infinite epsilon is of a private deployment", "Basis.bounded",
        "not math.isfinite(self.epsilon)", "False", "test_registry",
    ),
    Mutant(
        "a refusal leaves the parameters where they are", "entry:_privacy_loss",
        "found.objections or found.bounded is None", "found.bounded is None", "test_registry",
    ),
    Mutant(
        "a refusal leaves the variant where it is", "entry:_variant",
        "found.objections or record is None", "record is None", "test_registry",
    ),
    Mutant(
        "a refusal is not in the name", "entry:_basic",
        '", ".join(found.objections)', '""', "test_registry",
    ),
    Mutant(
        "what is not covered is left out of the unprotected quantities", "texts:unprotected",
        'row.covered != "yes"', 'row.covered == "not stated"', "test_registry",
    ),
    Mutant(
        "what nobody stated counts as protected", "texts:unprotected",
        'row.covered != "yes"', 'row.covered == "no"', "test_registry",
    ),
    Mutant(
        "the evaluation's own results count as protected", "texts:unprotected",
        "*_evaluated(found)", "", "test_registry",
    ),
    Mutant(
        "the file of the records counts as protected", "texts:unprotected",
        "*_beside_the_model(found.guarantee)", "", "test_registry",
    ),
    Mutant(
        "an entry's parameters hide what is not covered", "texts:parameters",
        "wording.left_out(record)", "''", "test_registry",
    ),
    Mutant(
        "text from the data is markup in the registry", "texts:_list",
        "escaped(text)", "text", "test_registry",
    ),
]  # fmt: skip
