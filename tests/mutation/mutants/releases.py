"""Bugs in how what was released besides a training is counted, matched and told."""

from __future__ import annotations

from mutants.mutant import Mutant

_RULES = "test_covered_releases"
_GATE = "test_gate_releases"
_TRAINER = "test_trained_beside_releases::"

RELEASES = [
    # The algebra.
    Mutant(
        "the largest counts although nothing shows that splits are disjoint", "Beside.groups",
        "not self.are_disjoint", "False", _RULES,
    ),
    Mutant(
        "the training's word for disjoint splits is enough", "Beside.are_disjoint",
        "release.splits_disjoint_for in shown", "True", _RULES,
    ),
    Mutant(
        "the releases' word for disjoint splits is enough", "Beside.are_disjoint",
        "self.splits_disjoint_for in shown", "True", _RULES,
    ),
    Mutant(
        "splits of other examples are these", "Beside.are_disjoint",
        "identities(release.examples) == own", "True", _RULES,
    ),
    Mutant(
        "examples that nobody names are these", "identities",
        "ExamplesRead() in originals", "False", _RULES,
    ),
    Mutant(
        "splits that are disjoint by record are so by user", "spending:_SHOWN_BY",
        '("user",)', '("example", "user")', _RULES,
    ),
    Mutant("a release costs nothing", "Beside._parts", "self.releases", "()", _RULES),
    Mutant("a release counts for its first split alone", "Beside._parts", "each.splits", "each.splits[:1]", _RULES),
    Mutant("deterministic noise is noise", "Beside._of_release", "not release.is_private", "False", _RULES),
    Mutant(
        "releases on other terms are added up", "Beside._of_release",
        "terms != (self.neighboring_relation, self.privacy_unit)", "False", _RULES,
    ),
    Mutant(
        "a training's relation is believed beside releases", "spending:spendings",
        "RELATION_OF_SAMPLING[mechanism.sampling] != beside.neighboring_relation", "False", _RULES,
    ),
    Mutant("thresholds spend no delta", "delta_after_thresholds", "target_delta - delta_spent * _UP", "target_delta", _RULES),
    Mutant(
        "thresholds of one release spend delta", "spending:_group",
        "math.fsum(part.delta_spent for part in found)", "max((part.delta_spent for part in found), default=0.0)", _RULES,
    ),
    Mutant("thresholds may spend all of the training's delta", "Spending.bounds", "not left > 0.0", "False", _RULES),
    Mutant("the least of the splits counts", "spending:largest", "max(by_pld)", "min(by_pld)", _RULES),
    Mutant("the training is of no split", "spending:spendings_of", "everywhere or group.is_trained_on", "everywhere", _RULES),
    Mutant(
        "a base model's releases are forgotten", "Beside._of_base",
        "*(self._of_release(release, None) for release in earlier)", "", _RULES,
    ),
    Mutant(
        "a base model's releases are of the splits of this training", "Beside._of_base",
        "self._of_release(release, None)", "self._of_release(release, frozenset(release.splits))", _RULES,
    ),
    Mutant(
        "any release of the same run id is the base model's", "Beside._of_base",
        "(each.run_id, each.release_digest) not in shared", "each.run_id not in {run_id for run_id, _ in shared}", _RULES,
    ),
    Mutant(
        "a base model carries its own releases alone", "guarantee.base_model:_releases",
        "record.base_model.releases", "[]", _RULES,
    ),
    Mutant(
        "a base model's releases need no privacy", "check_composable",
        "not all(release.is_private for release in base.releases)", "False", _RULES,
    ),
    Mutant(
        "reference models are apart from what was released", "recomputation:_check_references",
        "beside=Beside.of(guarantee)", "", _RULES,
    ),
    Mutant(
        "reference models are of the training's split", "epsilon_with_references", "everywhere=True", "everywhere=False", _RULES,
    ),
    Mutant(
        "an audit is of what was released too", "epsilon_of_this_run", "_ALONE", "Beside.of(guarantee)", _RULES,
    ),
    Mutant(
        "where delta is spent nothing can be disproved", "_is_disproved_where_nothing_is_promised",
        "epsilon <= records * epsilon_at(guarantee, guarantee.target_delta)", "True", _RULES,
    ),
    Mutant("epsilon over steps forgets what was before", "epsilon_over_steps:_coarse", "beside", "_ALONE", _RULES),
    # The records.
    Mutant(
        "one release may be there twice", "record:_check_apart",
        "len({*run_ids, run_id}) != len(run_ids) + 1", "False", _RULES,
    ),
    Mutant(
        "what a release names beside its answers is covered", "PrivacyGuarantee._check_scope",
        "not found.is_complete", "False", _RULES,
    ),
    Mutant("a release that is not there covers", "PrivacyGuarantee._check_scope", "found is None", "False", _RULES),
    Mutant(
        "statistics cover a graph", "PrivacyGuarantee._check_scope",
        "found.component != _RELEASED_BY[item.artifact]", "False", _RULES,
    ),
    Mutant(
        "files that were read are no reason", "CoveredRelease.is_complete",
        "not self.files_read and not self.uncovered_analyzers", "not self.uncovered_analyzers", _RULES,
    ),
    Mutant(
        "the ledger forgets what was released", "guarantee_digest",
        '{"dataset_id": None, "ledger": None, "statement": ""}',
        '{"dataset_id": None, "ledger": None, "statement": "", "releases": []}', _RULES,
    ),
    Mutant("older guarantees get new digests", "record:_leave_out", "facts.pop(name, None)", "", _RULES),
    Mutant(
        "a guarantee says less of a release's delta", "CoveredRelease.of", "delta_spent=release.delta_spent", "delta_spent=0.0",
        _RULES,
    ),
    # Words.
    Mutant(
        "a release that the model took nothing of is named as its vocabulary", "coverage:_words",
        '"transform_graph" in made', "True", _RULES,
    ),
    # Calibration.
    Mutant(
        "calibrated as if nothing were beside the run", "calibrate_noise_multiplier",
        "composed([*beside, resolved.event(noise)])", "resolved.event(noise)", "test_calibration_beside",
    ),
    Mutant(
        "only one release is calibrated beside", "calibrate_noise_multiplier",
        "composed([*beside, resolved.event(noise)])", "composed([beside[0], resolved.event(noise)])",
        "test_calibration_beside",
    ),
    # The gate.
    Mutant(
        "releases of other examples belong to the training", "rules.releases:_other_examples",
        "own != read", "False", _GATE,
    ),
    Mutant(
        "examples that nobody knows are the training's", "rules.releases:_other_examples",
        "not own or not read", "False", _GATE,
    ),
    Mutant(
        "test noise passes the rule", "rules.releases:_other_terms", "release.is_private is not True", "False", _GATE,
    ),
    Mutant(
        "a release on other terms passes the rule", "rules.releases:_other_terms",
        '("privacy_unit", "neighboring_relation")', "()", _GATE,
    ),
    Mutant("a release of another dataset or ledger passes", "_problems_of_own", "of_release != of_training", "False", _GATE),
    Mutant(
        "a base model's releases are nobody's", "rules.releases:check_releases",
        "_problems_of_base(record, record.base_model, release)", "()", _GATE,
    ),
    Mutant("a base model's releases were charged anywhere", "_problems_of_base", "ledger_id != base.ledger_id", "False", _GATE),
    Mutant(
        "what was released need not be signed", "_rests_on_unsigned",
        "not release.signed_by", "False", _GATE,
    ),
    # What is read before training.
    Mutant(
        "another's graph is covered", "dp_trainer.scope:_release_of", "each.artifact_digest == digest", "True",
        f"{_TRAINER}test_a_releases_own_graph_is_covered_and_no_other",
    ),
    Mutant(
        "a release of statistics covers a graph", "dp_trainer.scope:_release_of", 'each.component == "transform"', "True",
        f"{_TRAINER}test_a_releases_own_graph_is_covered_and_no_other",
    ),
    Mutant(
        "a copy with canaries is as good as its original", "examples_read:of",
        "inserted_canary_records=_inserted(each)", "",
        "test_canary_inserter::test_what_is_made_of_a_copy_says_that_canaries_are_in_it",
    ),
    Mutant(
        "what is made of a copy forgets its canaries", "examples_read:copy", "if inserted: ...", "",
        "test_canary_inserter::test_what_is_made_of_a_copy_says_that_canaries_are_in_it",
    ),
    Mutant(
        "canaries that Transform does not hand on are none", "dp_trainer.guarantee:scope_of",
        "*input_dict.get(SOURCE_EXAMPLES_KEY, [])", "",
        f"{_TRAINER}test_examples_with_canaries_are_trained_on_and_not_covered",
    ),
    Mutant(
        "examples with canaries need no word in the scope", "PrivacyGuarantee._check_scope",
        "has_canaries(self.examples)", "False", _RULES,
    ),
    Mutant(
        "a release of canaries is one of records", "rules.releases:_other_terms",
        "has_canaries(release.examples)", "False", _GATE,
    ),
    Mutant(
        "an exception makes canaries records", "check_scope",
        'all(item.artifact != "examples" for item in refused)', "True", _GATE,
    ),
    Mutant(
        "a number of canaries names examples", "identities", "each.original", "each", _RULES,
    ),
    Mutant("all users are the same people", "are_same_users", "one is not None and one == other", "True", _RULES),
    Mutant(
        "users of whom nobody says how they are told apart are the same", "are_same_users", "one is not None", "True", _RULES,
    ),
    Mutant(
        "a release for other users is added up", "Beside._of_release",
        "not are_same_users(self.privacy_unit, release.user_id_key, self.user_id_key)", "False", _RULES,
    ),
    Mutant(
        "a base model for other users is added up", "Beside._of_base",
        "not are_same_users(self.privacy_unit, base.user_id_key, self.user_id_key)", "False", "test_base_model_rules",
    ),
    Mutant(
        "training begins from a model for other users", "check_composable",
        "not are_same_users(privacy.privacy_unit, base.user_id_key, privacy.user_id_key)", "False", "test_base_model_rules",
    ),
    Mutant(
        "a release for other users passes the rule", "rules.releases:_other_terms",
        "not are_same_users(release.privacy_unit, own, theirs)", "False", _GATE,
    ),
    Mutant(
        "a release for other users is trained beside", "releases:_check_terms",
        "not are_same_users(privacy.privacy_unit, release.user_id_key, privacy.user_id_key)", "False",
        f"{_TRAINER}test_a_release_for_other_users_is_refused",
    ),
    Mutant(
        "a release does not say whose users it means", "releasing:make_release", "user_id_key=privacy.user_id_key", "",
        "test_dp_statistics_gen::test_people_are_the_unit_where_they_are_told_apart",
    ),
    Mutant(
        "the texts of any schema are covered", "dp_trainer.scope:of_schema", "if names_classes: ...", "",
        f"{_TRAINER}test_a_schema_whose_texts_are_in_the_model_needs_a_release_or_its_authors_word",
    ),
    Mutant(
        "nobody asks whether the classes are named by the schema", "data:names_classes_by_schema",
        "spec[label_key].dtype == tf.string", "False", "test_dp_trainer_inputs::test_a_label_that_is_text",
    ),
    Mutant(
        "an author's own class is an importer", "dp_trainer.releases:is_imported",
        "splits.kind(node) in _IMPORTERS", "True",
        "test_splits::test_a_schema_is_public_where_its_author_brought_it_in_or_says_so",
    ),
    Mutant(
        "analyzers beside a release are covered", "dp_trainer.scope:_released", "release.is_complete", "True",
        f"{_TRAINER}test_what_is_beside_a_releases_answers_is_named",
    ),
    Mutant(
        "noise that whoever knows the seed subtracts is taken", "releases:_check_terms", "not release.is_private", "False",
        f"{_TRAINER}test_what_cannot_be_added_up_is_refused",
    ),
    Mutant(
        "the training is charged before releases are checked", "dp_trainer.executor:Executor.Do",
        "releases.check(terms.beside(request.privacy), request.privacy, request.account)", "",
        f"{_TRAINER}test_nothing_is_charged_for_what_is_refused",
    ),
    Mutant(
        "a wired release that does not arrive is none", "dp_trainer.releases:_artifacts", "not found", "False",
        f"{_TRAINER}test_one_that_was_declared_and_did_not_arrive_is_missed",
    ),
    Mutant(
        "a resumed run may change its releases", "dp_trainer.releases:bind",
        '(checkpoints.read_note(_NOTE) or "[]") != stated', "False",
        f"{_TRAINER}test_attempts_at_a_run_are_tied_to_its_releases",
    ),
    Mutant(
        "the noise is calibrated to the training alone", "dp_trainer.guarantee:_noise_for", "beside=group.events", "",
        f"{_TRAINER}test_noise_is_calibrated_to_what_the_releases_leave",
    ),
    Mutant(
        "the noise is calibrated to all of delta", "dp_trainer.guarantee:_noise_for",
        "delta_after_thresholds(target_delta, group.delta_spent)", "target_delta",
        f"{_TRAINER}test_noise_is_calibrated_to_what_the_releases_leave",
    ),
    Mutant(
        "the target is not of other splits", "dp_trainer.guarantee:calibrated_noise", "_check_others(released, privacy)", "",
        f"{_TRAINER}test_noise_is_calibrated_to_what_the_releases_leave",
    ),
    # How the pipeline splits its examples.
    Mutant(
        "files of their own are disjoint", "components.splits:_drawn_for",
        "len(input_config.splits) != 1 or not output_config.split_config.splits", "False",
        "test_splits::test_files_of_their_own_for_each_split_show_nothing",
    ),
    Mutant(
        "any feature tells users apart", "components.splits:_drawn_for", "feature and feature == user_id_key", "feature",
        "test_splits::test_a_hash_of_the_users_feature_shows_it_of_users",
    ),
    Mutant(
        "every node leaves records in their splits", "components.splits:_example_gen_of",
        "_PASSING_ON.get(kind(made.producer_component)) != made.output_key", "False",
        "test_splits::test_a_node_that_nobody_knows_shows_nothing",
    ),
    Mutant(
        "every ExampleGen splits as TFX's", "_draws_by_hash",
        '("Do", "GenerateExamplesByBeam")', "()",
        "test_splits::test_an_executor_that_splits_by_itself_shows_nothing",
    ),
    Mutant(
        "a training need not know of its Transform", "check_transform_graph",
        'made and getattr(transform_graph, "producer_component", None) is not made[0]', "False",
        "test_splits::test_what_transform_took_from_the_records_is_not_left_out_of_a_training",
    ),
    Mutant(
        "the last of two Transforms tells all", "check_transform_graph", "made[1:]", "made[2:]",
        "test_splits::test_what_transform_took_from_the_records_is_not_left_out_of_a_training",
    ),
    Mutant(
        "a joined channel hides a Transform", "components.splits:_parts",
        "isinstance(channel, tfx_channel.UnionChannel)", "False",
        "test_splits::test_what_transform_took_from_the_records_is_not_left_out_of_a_training",
    ),
    Mutant(
        "records that hold others' may be released", "components.splits:_check_released", "kind(node) != _DP_TRANSFORM", "False",
        "test_splits::test_records_that_hold_what_was_taken_without_noise_are_not_released",
    ),
    Mutant(
        "two ExampleGens split alike", "components.splits:disjoint_for",
        "_example_gen_of(_examples_of(each)) is not source", "False",
        "test_splits::test_what_was_released_must_be_of_the_same_example_gen",
    ),
    Mutant(
        "any schema is made of released statistics", "schemas_release",
        "any(maker is each for each in makers)", "True",
        "test_splits::test_a_release_is_the_schemas_where_the_pipeline_made_it_of_its_statistics",
    ),
]  # fmt: skip
