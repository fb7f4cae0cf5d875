"""Bugs in how a private base model is counted in."""

from __future__ import annotations

from mutants.mutant import Mutant

BASE_MODELS = [
    Mutant(
        "the base model costs nothing", "Beside._of_base",
        "base is None or not base.is_private", "True", "test_base_model_rules",
    ),
    Mutant(
        "only the last base model counts", "begin_from",
        "earlier.trainings if earlier is not None else []", "[]", "test_base_model_rules",
    ),
    Mutant(
        "trainings on other terms are added up", "Beside._of_base",
        "... != (self.neighboring_relation, self.privacy_unit)", "False", "test_base_model_rules",
    ),
    Mutant(
        "a base model's relation is believed", "Beside._of_training",
        "RELATION_OF_SAMPLING[training.sampling] != self.neighboring_relation", "False", "test_base_model_rules",
    ),
    Mutant(
        "another model's guarantee will do", "begin_from",
        "record.model_digest == model_digest", "", "test_base_model_rules",
    ),
    Mutant("a base guarantee is believed", "begin_from", "recomputed_epsilon(record)", "", "test_base_model_rules"),
    Mutant(
        "a base model without privacy is a start", "check_composable",
        'any(part.kind == "none" or not part.is_private for part in base.trainings)', "False",
        "test_base_model_rules",
    ),
    Mutant(
        "what the base model was not covered for is forgotten", "base_model:scope_of",
        "return [added, *(_inherited(item) for item in record.scope if not item.covered)]", "return [added]",
        "test_base_model_rules",
    ),
    Mutant(
        "the ledger forgets the base model", "guarantee_digest",
        'guarantee.model_dump(mode="json")', 'guarantee.model_dump(mode="json", exclude={"base_model"})',
        "test_base_model_rules",
    ),
    Mutant(
        "a base model outside the ledger", "check_ledger",
        "base.ledger_id != position.ledger_id", "False", "test_base_model_rules",
    ),
    Mutant(
        "an unsigned base guarantee", "_rests_on_unsigned",
        "base is not None and base.is_private and not base.signed_by", "False",
        "test_base_model_rules",
    ),
    Mutant(
        "preprocessing's allowance is for tuning too", "allowed_outside",
        '(policy.allow_non_dp_preprocessing, ("transform_graph", "schema"))',
        '(policy.allow_non_dp_preprocessing, ("transform_graph", "schema", "hyperparameters"))',
        "test_base_model_rules",
    ),
    Mutant(
        "one allowed item allows all", "check_scope",
        "all(item.artifact in allowed for item in uncovered)", "any(item.artifact in allowed for item in uncovered)",
        "test_base_model_rules",
    ),
    Mutant(
        "references begin from a private model", "PrivacyGuarantee._consistent",
        "self.references is not None and self.base_model is not None and self.base_model.is_private", "False",
        "test_base_model_rules",
    ),
]  # fmt: skip
