"""Bugs in the attacks, and in what the gate makes of their results."""

from __future__ import annotations

from mutants.mutant import Mutant

ATTACKS = [
    Mutant(
        "folds by record in spite of the key", "sample:folds_of",
        "hashes if groups is None else groups", "hashes",
        "test_groups::test_neither_the_control_nor_a_learned_attack_meets_a_person_twice",
    ),
    Mutant(
        "counted by record in spite of the key", "of_records",
        "_Parts(counting.buckets_of(groups), True)", "_Parts(sample.folds_of(hashes), False)",
        "test_groups::test_a_side_of_few_people_is_not_judged",
    ),
    Mutant(
        "variances that ignore groups", "design_effect",
        "max(1.0, float((sums**2).sum()) * _correction(strata) / variance)", "1.0",
        "test_groups::test_intervals_of_the_auc_cover_the_truth_whatever_a_person_s_records_have_in_common",
    ),
    Mutant(
        "as certain of a share as of records", "of_share",
        "return _group_size(_sizes(counts)[side])", "return 1.0",
        "test_groups::test_that_nobody_was_caught_is_as_certain_as_there_are_people",
    ),
    Mutant(
        "a threshold that rests on records", "tpr_interval",
        "size, scale = int(independent), n0 / max(int(independent), 1)", "size, scale = n0, 1.0",
        "test_groups::test_a_threshold_rests_on_people",
    ),
    Mutant(
        "people of two classes are two people", "_variance_of_mean",
        "_inflation(strata, weights, tail)", "_inflation(strata[:1], weights[:1], tail)",
        "test_groups::test_strata_in_which_a_person_has_records_are_not_independent",
    ),
    Mutant(
        "p-values that ignore groups", "p_value",
        "_variance_of_mean(pairs, judged, variances, independent=independent)",
        "float((pairs**2 * variances).sum())",
        "test_groups::test_intervals_of_the_auc_cover_the_truth_whatever_a_person_s_records_have_in_common",
    ),
    Mutant(
        "separated by records, not by people", "statistics:auc_interval",
        "min(clusters.num_groups(counts, side) for side in (0, 1))", "min(n1, n0)",
        "test_groups::test_two_scores_and_separated_scores_are_no_more_certain_than_their_people",
    ),
    Mutant(
        "a handful of people is enough", "has_enough_groups", "MIN_GROUPS", "0",
        "test_groups::test_the_number_of_groups",
    ),
    Mutant(
        "named groups are a surprise", "repeats",
        "np.unique(np.column_stack([side, unit.view(np.int64)]), axis=0)",
        "np.column_stack([side, np.arange(len(side))])", "test_groups",
    ),
    Mutant(
        "a handful of repetitions shows groups", "repeats",
        "_log_tail(straddling, expected) <= math.log(SIGNIFICANCE)", "True", "test_groups",
    ),
    Mutant(
        "any user may be on both sides", "problem_of_users",
        "not groups.num_on_both_sides <= MAX_SHARED_USERS * smaller", "False", "test_gate_groups",
    ),
    Mutant(
        "a guarantee for users, attacks on records", "problem_of_users",
        'guarantee.privacy_unit != "user"', 'guarantee.privacy_unit != "user" or record.groups is None',
        "test_gate_groups",
    ),
    Mutant(
        "groups that nobody named do not matter", "check_coverage",
        "problems += groups.unreckoned(record)", "pass", "test_gate_groups",
    ),
    Mutant(
        "ties are wins", "_placements",
        "beaten = (np.cumsum(others) - 0.5 * others) / n0", "beaten = np.cumsum(others) / n0",
        "test_attack_statistics",
    ),
    Mutant(
        "the others have no variance", "auc_and_variance",
        "variance += float(others @ (beating - auc) ** 2) / (n0 - 1) / n0", "variance += 0.0",
        "test_attack_statistics",
    ),
    Mutant(
        "the rate is of members", "tpr_interval",
        "_shares_above(counts.others, math.floor(false_positive_rate * n0 + 1e-9))",
        "_shares_above(counts.members, math.floor(false_positive_rate * n0 + 1e-9))", "test_attack_statistics",
    ),
    Mutant(
        "weighted replicates that hardly differ are certain", "weighted:auc_interval",
        "min(low, least.low)", "min(low, estimate)",
        "test_consistency::test_weights_that_rest_on_few_records_do_not_make_an_interval_narrow",
    ),
    Mutant(
        "all who share a score are above the threshold", "_shares_above",
        "np.clip(room / np.maximum(others, 1), 0.0, 1.0)", "room > 0",
        "test_individuals::test_harmless_models_are_refused_in_less_than_one_case_in_a_hundred",
    ),
    Mutant(
        "nobody who shares a score is above the threshold", "_shares_above",
        "np.clip(room / np.maximum(others, 1), 0.0, 1.0)", "room >= others",
        "test_attack_statistics::test_equal_scores_are_ordered_by_lot",
    ),
    Mutant(
        "the threshold is given", "tpr_interval",
        "fewest = int(stats.binom.ppf(alpha / 4, size, false_positive_rate)) - 1",
        "fewest = math.floor(false_positive_rate * n0 + 1e-9)",
        "test_attack_statistics::test_the_interval_of_the_tpr_covers_the_rate_in_the_population",
    ),
    Mutant(
        "the best threshold of the same records", "advantage_interval",
        "((0, 1), (1, 0))", "((0, 0), (1, 1))",
        "test_attack_statistics::test_advantage_has_no_upward_bias_where_the_maximum_has_one",
    ),
    Mutant(
        "many tests are one", "holm",
        "np.maximum.accumulate(values[order] * factors)", "np.maximum.accumulate(values[order])",
        "test_attack_statistics::test_holm_against_its_definition_and_the_chance_of_any_false_alarm",
    ),
    Mutant(
        "an attacker knows its records", "cross_fitted",
        "training, testing = folds != fold, folds == fold", "training, testing = folds == fold, folds == fold",
        "test_attack_rules",
    ),
    Mutant(
        "folds are independent", "_from_sample", "independent=not fitted", "independent=True",
        "test_attack_rules::test_rows_of_attackers_that_learn_allow_for_dependent_folds",
    ),
    Mutant(
        "any slice is large enough", "_too_few",
        "sizes[MEMBERS] >= smallest[MEMBERS] and sizes[OTHERS] >= smallest[OTHERS]", "min(sizes) >= 2",
        "test_attack_rules",
    ),
    Mutant(
        "the control is not asked", "control:confounded",
        "not p_value_of(row) > CONTROL_SIGNIFICANCE", "p_value_of(row) < 0.0",
        "test_attack_rules::test_the_control_s_verdict_needs_significance_and_is_enough",
    ),
    Mutant(
        "whatever the control says is a shift", "control:confounded",
        "not p_value_of(row) > CONTROL_SIGNIFICANCE", "", "test_attack_rules",
    ),
    Mutant(
        "no score is the lowest", "tally:_counts",
        "usable = ~np.isnan(scores)", "usable, scores = np.ones(len(scores), bool), np.nan_to_num(scores, nan=-1e30)",
        "test_tally test_attack_rules",
    ),
    Mutant(
        "the sample prefers large hashes", "smallest",
        'order = np.argsort(hashes, kind="stable")', 'order = np.argsort(~hashes, kind="stable")', "test_tally",
    ),
    Mutant(
        "a value's place does not matter", "_of_values",
        "return mixed(mixed(values.view(np.uint64)) ^ value_seeds)",
        "return mixed(mixed(values.view(np.uint64)) + 0 * value_seeds)", "test_tally",
    ),
    Mutant(
        "calibrated by models that know the record", "scores",
        "difference(target[0], out)", "difference(target[0], inside)", "test_reference_attacks",
    ),
    Mutant(
        "RMIA asks only the models without the record", "log_likelihood_ratio",
        "(np.exp(inside).mean(axis=1) + np.exp(out).mean(axis=1)) / 2", "np.exp(out).mean(axis=1)",
        "test_reference_attacks",
    ),
    Mutant(
        "variances without a prior", "bavaria",
        "(prior.freedom * prior.variance + residuals) / (prior.freedom + freedom)", "residuals / max(freedom, 1)",
        "test_bayesian_attack",
    ),
    Mutant(
        "effects without a prior", "bavaria",
        "weight = spread / (spread + 2 * variances / num_pairs)", "weight = np.ones(len(variances))",
        "test_bayesian_attack",
    ),
    Mutant(
        "the likelihood of being wrong", "log_likelihoods",
        "-np.logaddexp(0.0, -rescaled[np.arange(len(labels)), labels])",
        "-np.logaddexp(0.0, rescaled[np.arange(len(labels)), labels])", "test_heads",
    ),
    Mutant(
        "confident predictions are all alike", "rescaled_logits",
        "np.put_along_axis(rescaled, top, np.take_along_axis(values, top, -1) - others, -1)", "pass", "test_heads",
    ),
    Mutant(
        "the mirror image is harmless", "AttackResult.attack_auc_upper",
        "return max(self.auc.high, 1.0 - self.auc.low)", "return self.auc.high", "test_gate_small_slices",
    ),
    Mutant(
        "the mirror image of a small slice is harmless", "AttackLimit._strict_lower",
        "estimate < 0.5", "False", "test_gate_small_slices",
    ),
    Mutant(
        "a confounded slice will do", "check_coverage",
        "problems or differing", "problems", "test_gate_small_slices",
    ),
    Mutant(
        "small slices leak together", "_coverage",
        "small and limits.attack_limit(small[0]).jointly_within(small)", "small", "test_gate_small_slices",
    ),
    Mutant(
        "small slices leak together to other attacks than the loss", "SliceLimits.jointly_above",
        "attack == CONTROL or feature == WHOLE_SET", 'attack != "loss" or feature == WHOLE_SET', "test_gate_small_slices",
    ),
    Mutant(
        "chance explains every leak of small slices", "AttackLimit.jointly_above",
        "not (abs(mean) <= self.strict * deviation and by_chance >= 2.0 * float(stats.norm.sf(self.strict)))", "False",
        "test_gate_small_slices",
    ),
    Mutant(
        "leaks of small slices in both directions are chance", "AttackLimit.jointly_above",
        "by_chance >= 2.0 * float(stats.norm.sf(self.strict))", "True", "test_gate_small_slices",
    ),
    Mutant(
        "small slices of harmless models are refused", "AttackLimit.jointly_above",
        "not (abs(mean) <= self.strict * deviation and by_chance >= 2.0 * float(stats.norm.sf(self.strict)))", "True",
        "test_gate_small_slices",
    ),
    Mutant(
        "a control of any number of records", "_control_without_power",
        "too_small or not min(row.num_members, row.num_nonmembers) >= MIN_CONTROL", "False",
        "test_gate_small_slices::test_a_control_of_too_few_records_to_see_a_shift_is_none",
    ),
    Mutant(
        "nothing shows on a small slice", "AttackLimit.standing",
        "return Standing.INCONCLUSIVE if self._strict_lower(row) <= self.limit else Standing.ABOVE",
        "return Standing.INCONCLUSIVE",
        "test_gate_small_slices",
    ),
    Mutant(
        "intervals of any confidence", "check_coverage",
        "not record.confidence_level >= MIN_CONFIDENCE_LEVEL", "not record.confidence_level >= 0.0", "test_gate",
    ),
    Mutant(
        "large slices may be pooled", "check_coverage",
        "not record.min_slice_size <= MAX_SLICE_SIZE_POOLED", "not record.min_slice_size <= 10**9", "test_gate",
    ),
    Mutant(
        "any number of records on both sides", "check_splits",
        "record.num_overlapping <= MAX_OVERLAP * read", "record.num_overlapping <= read", "test_gate",
    ),
    Mutant(
        "equal non-members are compared", "equal_records:compared",
        "~np.isin(hashes, np.concatenate([np.zeros(0, np.uint64), *on_both_sides]))", "np.ones(len(hashes), bool)",
        "test_equal_records::test_only_non_members_are_left_out",
    ),
    Mutant(
        "equal members are left out too", "equal_records:compared", "if side != OTHERS: ...", "",
        "test_equal_records::test_only_non_members_are_left_out",
    ),
    Mutant(
        "what is left out is not added up", "tally:merged", "sum(tally.num_left_out for tally in tallies)",
        "tallies[0].num_left_out", "test_equal_records::test_tallies_add_up_what_was_left_out",
    ),
    Mutant(
        "slices keep the rows of other records", "slice_values:restricted",
        "(np.cumsum(kept) - 1)[column.rows[inside]]", "column.rows[inside]",
        "test_equal_records::test_the_rows_of_a_slice_follow_the_records_that_are_left",
    ),
    Mutant(
        "any share of equal records is judged", "unjudged:row",
        "not total.num_left_out <= max_overlap * (total.records[OTHERS] + total.num_left_out)", "False",
        "test_equal_records::test_what_is_not_judged_says_why_and_is_a_consistent_record",
    ),
    Mutant(
        "files that could not be scored are no matter", "unjudged:row", "if failed: ...", "",
        "test_equal_records::test_files_that_could_not_be_scored_come_first",
    ),
    Mutant(
        "the evaluation says how much overlap the gate takes", "check_splits",
        "record.num_overlapping <= MAX_OVERLAP * read", "record.num_overlapping <= record.max_overlap * read",
        "test_equal_records::test_the_gate_has_its_own_limit_whatever_the_evaluation_was_allowed",
    ),
    Mutant(
        "rows beside too many that were left out", "consistency:_of_kind", "row.auc is not None and totals.overlaps", "False",
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "what was left out need not have been read", "gate.rules.trained_records:_of_numbers",
        "record.num_nonmembers + record.num_overlapping", "found.nonmembers.num_records",
        "test_equal_records::test_how_many_were_left_out_is_held_against_what_was_read",
    ),
    Mutant(
        "what was left out need not have been trained on", "gate.rules.trained_records:_of_numbers",
        "found.is_complete and not found.nonmembers.num_trained_on >= MIN_SHARE * record.num_overlapping - 1", "False",
        "test_equal_records::test_what_was_left_out_was_trained_on",
    ),
    Mutant(
        "the control need not have been run", "REQUIRED_ATTACKS",
        "REQUIRED_ATTACKS = (LOSS, CONTROL)", "REQUIRED_ATTACKS = (LOSS,)", "test_gate test_gate_small_slices",
    ),
    Mutant(
        "records count once for every value", "_coverage",
        "total = max(record.num_members, sum(row.num_members for row in rows))", "total = record.num_members",
        "test_gate",
    ),
    Mutant(
        "every slice is small", "AttackLimit.is_small",
        "(self.strict + self.quantile) * min(self._deviation(row), widest)",
        "(self.strict + self.quantile) * max(self._deviation(row), 1.0)", "test_gate_small_slices",
    ),
    Mutant(
        "the strongest attack is the noisiest one", "strongest",
        "telling or rows", "rows", "test_strongest_attack",
    ),
    Mutant(
        "the strongest attack is looked for without the slices' own limits", "strongest",
        "upper_bound(row) - limit(row)", "upper_bound(row)", "test_strongest_attack",
    ),
    Mutant(
        "the row that refuses is not the strongest attack", "strongest",
        "[row for row in rows if is_above(row)] or [row for row in rows if reference.tells_alone(row)]",
        "[row for row in rows if reference.tells_alone(row)]", "test_strongest_attack",
    ),
    Mutant(
        "the strongest attack is the likeliest one", "strongest",
        "lambda row: (upper_bound(row) - limit(row), upper_bound(row))", "lambda row: row.auc.estimate - limit(row)",
        "test_strongest_attack test_gate",
    ),
    Mutant(
        "fifty values are judged", "MAX_JUDGED", "MAX_JUDGED = 1000", "MAX_JUDGED = 50",
        "test_many_slices::test_a_large_shop_beyond_the_fiftieth_is_judged",
    ),
    Mutant(
        "a large value with few others is pooled", "_Slices.__init__", "size >= min_size", "size >= 20 * min_size",
        "test_many_slices::test_a_shop_with_few_others_is_judged_and_not_pooled",
    ),
    Mutant(
        "values that are too many are pooled", "_Slices.key",
        "UNJUDGED if value in self._left_out.get(feature, ()) else POOLED", "POOLED",
        "test_many_slices::test_more_shops_than_can_be_judged_fail_coverage_and_say_so",
    ),
    Mutant(
        "values that are too many are no matter", "_values_left_out",
        "row.slice_value == UNJUDGED or (row.slice_value != POOLED and row.num_members > MAX_SLICE_SIZE_POOLED)",
        "row.slice_value != POOLED and row.num_members > MAX_SLICE_SIZE_POOLED",
        "test_many_slices::test_more_shops_than_can_be_judged_fail_coverage_and_say_so",
    ),
    Mutant(
        "a large value without others is no matter", "_values_left_out",
        "row.slice_value == UNJUDGED or (row.slice_value != POOLED and row.num_members > MAX_SLICE_SIZE_POOLED)",
        "row.slice_value == UNJUDGED",
        "test_many_slices::test_a_large_shop_with_hardly_any_others_fails_coverage_whatever_its_share",
    ),
    Mutant(
        "frequent values are pooled while scoring", "slice_values:pooled",
        "alone, left_out = np.isin(hashes, judged.alone), np.isin(hashes, judged.left_out)",
        "alone, left_out = np.isin(hashes, judged.left_out), np.isin(hashes, judged.alone)", "test_slice_values",
    ),
    Mutant(
        "the control does not read", "control_scores",
        "members.values is not None and others.values is not None", "False", "test_control",
    ),
    Mutant(
        "many slices hide a shift", "families",
        "[family for family in (whole, [index for index in own if index not in whole]) if family]", "[own]",
        "test_control::test_many_slices_do_not_hide_a_shift_of_the_whole_set",
    ),
    Mutant(
        "the control looks twice for the price of once", "_clearer",
        "len(judged) * p_value_of(best)", "p_value_of(best)",
        "test_control::test_the_control_looks_twice_and_pays_for_it",
    ),
    Mutant(
        "the control reads first words alone", "bags:_tokens",
        "_WORD.findall(value.lower())", "_WORD.findall(value.lower())[:1]",
        "test_control::test_words_beyond_the_first_two_thousand_characters_count",
    ),
    Mutant(
        "a shift is called a leak", "rules.attacks:_refused", "shift.is_everywhere(record)", "False", "test_gate_small_slices",
    ),
    Mutant(
        "the mirror image never refuses a harmless model", "Design.probability",
        "2.0 * stats.norm.sf(special.logit(limit) / (4.0 * scaled) - quantile)",
        "stats.norm.sf(special.logit(limit) / (4.0 * scaled) - quantile)", "test_false_refusals",
    ),
    Mutant(
        "folds of a classifier cost nothing", "false_refusals:_deviation",
        "2.0 * variance if cross_fitted else variance", "variance",
        "test_false_refusals::test_a_classifier_is_refused_as_often_as_the_formula_says_at_most",
    ),
    Mutant(
        "the threshold is measured where it was chosen", "clopper_pearson_epsilon_lower_bound",
        "shown(measured_on, thresholds[at : at + 1])", "shown(chosen_on, thresholds[at : at + 1])",
        "test_auditing::test_the_best_of_all_thresholds_on_the_same_canaries_is_no_bound",
    ),
]  # fmt: skip
