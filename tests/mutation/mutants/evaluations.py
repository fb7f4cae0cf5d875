"""Bugs in what the gate demands of an evaluation as a record, of single members and of records without a score."""

from __future__ import annotations

from mutants.mutant import Mutant

EVALUATIONS = [
    Mutant(
        "gate-evaluation: errors of records quote values", "records.base:Record", "hide_input_in_errors=True",
        "hide_input_in_errors=False", "test_no_value_in_errors",
    ),
    Mutant(
        "gate-evaluation: a contradiction is read", "PrivacyEvaluation._consistent",
        'info.mode == "json" and self.contradictions', "False",
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: a contradiction is blessed", "check_consistent", "if found: ...", "",
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: a control that finds a difference is OK", "_of_tests",
        "not largest > CONTROL_SIGNIFICANCE", "False",
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: an unsupported head was judged", "_of_kind",
        'row.status == "OK" and not totals.is_supported', "False",
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: unusable records were compared", "Totals.usable",
        "self.members - self.unusable_members", "self.members",
        "test_consistency::test_what_the_attacks_write_never_contradicts_itself",
    ),
    Mutant(
        "gate-evaluation: rows of more records than were read", "consistency:_of_counts",
        "_within(sizes, totals.sizes)", "True",
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: any width will do", "consistency:_of_numbers",
        "not row.auc.high - row.auc.low >= width * (1 - _TOLERANCE)", "False",
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: the least variance is of the larger side", "consistency:least_variance",
        "(num_members, num_nonmembers)", "(num_members, num_members)",
        "test_consistency::test_what_the_attacks_write_never_contradicts_itself",
    ),
    Mutant(
        "gate-evaluation: slices need not add up", "_of_slices", "added != _sizes(whole[attack])", "False",
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: the whole hides its largest part", "_of_part",
        "share = math.prod(_sizes(row)) / math.prod(_sizes(whole))", "share = 0.0",
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: a p-value need not fit", "_of_tests",
        "row.adjusted_p_value <= largest + _TOLERANCE", "row.adjusted_p_value <= 1.0",
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: a rate need not fit the AUC", "consistency:_of_rates",
        "not row.auc.estimate >= entry.tpr.estimate * (1 - entry.false_positive_rate) - _TOLERANCE", "False",
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: a shift that the control does not see", "_of_statuses",
        'row.status == "CONFOUNDED" and control != "CONFOUNDED"', 'False',
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: a shift concerns one attack", "_of_statuses",
        'row.status == "OK" and control == "CONFOUNDED"', 'False',
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: enough records are too few", "consistency:_of_counts",
        'row.status == "INSUFFICIENT" and not (is_excused or totals.overlaps) and _within(smallest, sizes)', 'False',
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: slices without a whole", "_of_attacks",
        'row.attack not in whole', 'False',
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: a head that no attack saw", "_of_attacks",
        'f"{_LOSS}[{head}]" not in whole', 'False',
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: one group a side is enough", "consistency:_of_groups",
        'not min(found) >= FEWEST_GROUPS', 'False',
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: intervals need not know groups", "consistency:_of_groups",
        'row.num_member_groups is None or row.num_nonmember_groups is None', 'False',
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: rows of more groups than there are", "consistency:_of_groups",
        'not of_row <= _GROUPS_OVERESTIMATED * of_side', 'False',
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: any advantage goes with an AUC", "_of_advantage",
        'advantage.low <= auc.high + _TOLERANCE and advantage.high >= auc.low - 1.0 - _TOLERANCE', 'True',
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: a rate for certain", "consistency:_of_rates",
        'not entry.tpr.high >= upper - _TOLERANCE', 'False',
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: any small p-value goes with an AUC", "_of_tests",
        'not row.adjusted_p_value >= smallest * (1 - _TOLERANCE)', 'False',
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: the same output in another shape", "served:contradictions",
        '_fits(output.shape, target.shape)', 'True',
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: what is attacked is a transformed feature", "served:contradictions",
        'output.standing == "transformed" and name.rsplit("/", 1)[0] in signatures', 'False',
        "test_consistency::test_a_record_that_contradicts_itself_is_neither_read_nor_blessed",
    ),
    Mutant(
        "gate-evaluation: leaks of small slices cancel out", "AttackLimit.jointly_within",
        "square + self.quantile * math.sqrt(of_square) <= (self.limit - 0.5) ** 2", "True", "test_gate_small_slices",
    ),
    Mutant(
        "gate-evaluation: chance is a leak of small slices", "AttackLimit.jointly_within",
        "excess**2 - variances", "excess**2 + 4.0 * variances", "test_gate_small_slices",
    ),
    Mutant(
        "gate-evaluation: members without a score are a footnote", "check_unscored",
        "p_value > UNSCORED_SIGNIFICANCE", "True", "test_unscored_records",
    ),
    Mutant(
        "gate-evaluation: single members may be named", "check_individuals",
        "not _upper(rate) <= limit", "False", "test_individuals",
    ),
    Mutant(
        "gate-evaluation: a rate that is not there is fine", "check_individuals",
        "_rate(row) is None", "False", "test_individuals::test_a_rate_that_could_be_there_and_is_not_is_unknown",
    ),
    Mutant(
        "gate-evaluation: a rate that is NaN", "individuals:_upper",
        "rate.high if all(map(math.isfinite, (rate.low, rate.estimate, rate.high))) else 1.0", "rate.high or 0.0",
        "test_individuals::test_a_rate_that_is_no_number_refuses",
    ),
    Mutant(
        "gate-evaluation: nobody says that attacks beat chance", "against_chance",
        "not (row.adjusted_p_value or 0.0) > SIGNIFICANCE", "False",
        "test_individuals::test_the_verdict_says_whether_an_attack_beats_chance",
    ),
]  # fmt: skip
