"""Bugs in what a policy may demand: the ledger, signatures, freshness, slices and exceptions."""

from __future__ import annotations

from mutants.mutant import Mutant

POLICY = [
    Mutant(
        "a run of any state", "_not_of_a_deployable_model",
        'run.state != "COMMITTED"', 'run.state == "ABORTED"', "test_gate_rules",
    ),
    Mutant(
        "a reservation for whatever", "_not_of_a_deployable_model",
        'run.purpose != "model"', "False", "test_gate_rules",
    ),
    Mutant(
        "a ledger's run of any model", "_not_of_a_deployable_model",
        "run.model_digest is None or run.model_digest != model_digest", "run.model_digest is None", "test_gate_rules",
    ),
    Mutant(
        "a ledger's run of no model", "_not_of_a_deployable_model",
        "run.model_digest is None or run.model_digest != model_digest",
        "run.model_digest is not None and run.model_digest != model_digest", "test_gate_rules",
    ),
    Mutant(
        "the guarantee's digest is not compared", "_other_than_stated",
        '("guarantee_digest", ..., run.guarantee_digest)', "", "test_gate_rules",
    ),
    Mutant(
        "what the ledger does not say agrees", "_other_than_stated",
        "found is None or stated != found", "found is not None and stated != found", "test_gate_rules",
    ),
    Mutant(
        "less noise than was reserved", "_other_than_reserved",
        "not ... >= ...", "not ... <= ...", "test_gate_rules",
    ),
    Mutant(
        "other batches than were reserved", "_other_than_reserved",
        "... != ...", "... > ...", "test_gate_rules",
    ),
    Mutant(
        "more steps than were reserved", "_more_than_reserved",
        "... <= run.planned.steps", "... <= 2 * run.planned.steps", "test_gate_rules",
    ),
    Mutant(
        "an overspent dataset", "check_dataset_budget",
        "not 0 < run.charged <= run.budget", "not 0 < run.charged", "test_gate_rules",
    ),
    Mutant(
        "a run that was charged nothing", "check_dataset_budget",
        "not 0 < run.charged <= run.budget", "not run.charged <= run.budget", "test_gate_rules",
    ),
    Mutant(
        "a spent epsilon that is NaN", "check_dataset_budget",
        "not (math.isfinite(run.spent_epsilon) and 0.0 <= run.spent_epsilon <= run.budget_epsilon * _ROUNDING)",
        "run.spent_epsilon < 0.0 or run.spent_epsilon > run.budget_epsilon * _ROUNDING", "test_gate_rules",
    ),
    Mutant(
        "a ledger that was restored from an older copy", "_not_in_the_chain",
        "run.sequence is None or not run.sequence <= run.head_sequence", "run.sequence is None", "test_gate_rules",
    ),
    Mutant(
        "a last entry that is another one", "_not_in_the_chain",
        "run.sequence == run.head_sequence and run.entry_hash != run.head_hash", "False", "test_gate_rules",
    ),
    Mutant(
        "a ledger that was not asked will do", "Evidence.known_ledger",
        "raise EvidenceError(...)",
        """
        return None
        raise EvidenceError(...)
        """,
        "test_gate_rules test_forged_evidence",
    ),
    Mutant("no ledger where one is demanded", "_without_ledger", 'policy.ledger == "none"', "True", "test_gate_rules"),
    Mutant(
        "a guarantee that keeps silent of its ledger", "_without_ledger",
        "evidence.ledger is not None", "False", "test_gate_rules",
    ),
    Mutant(
        "a reservation that was given back counts in full", "_CHARGED",
        '("STARTED", "COMMITTED", "SETTLED")', '("STARTED", "COMMITTED", "SETTLED", "ABORTED")', "test_gate_rules",
    ),
    Mutant(
        "more reference models than were reserved", "_more_references_than_reserved",
        "not needed <= reserved", "not needed <= 2 * reserved", "test_gate_rules",
    ),
    Mutant("reference models of another guarantee", "_reference_problems", "not committed", "False", "test_gate_rules"),
    Mutant(
        "one reservation counts twice", "_reference_problems",
        "len(set(position.reference_run_ids)) != len(position.reference_run_ids)", "False", "test_gate_rules",
    ),
    Mutant(
        "reference models' reservations of another dataset", "_foreign_reference",
        "getattr(found, name) != getattr(run, name)", "False", "test_gate_rules",
    ),
    Mutant(
        "an invalid signature counts as none", "check_signature",
        "if isinstance(found, EvidenceError): ...",
        """
        if isinstance(found, EvidenceError):
            found = None
        if found is False: ...
        """,
        "test_gate_rules",
    ),
    Mutant("one signature is enough", "check_signature", "not unsigned", "len(unsigned) < 2", "test_gate_rules"),
    Mutant(
        "signatures are never demanded", "check_signature",
        'policy.signature == "optional"', "True", "test_gate_rules",
    ),
    Mutant(
        "anything is a key", "check_signature",
        "isinstance(found, str) and found", "found is not None", "test_gate_rules",
    ),
    Mutant(
        "only the younger must be fresh", "check_freshness",
        "all(age <= policy.max_age_days for age in days.values())",
        "any(age <= policy.max_age_days for age in days.values())", "test_gate_rules",
    ),
    Mutant(
        "evidence of any age", "check_freshness",
        "all(age <= policy.max_age_days for age in days.values())", "all(age >= 0 for age in days.values())",
        "test_gate_rules",
    ),
    Mutant(
        "an evaluation before the guarantee", "check_issued",
        'not stated["guarantee"] <= stated["evaluation"] + _CLOCK_SKEW', "False", "test_gate_rules",
    ),
    Mutant("evidence from the future", "check_issued", "not time <= now + _CLOCK_SKEW", "False", "test_gate"),
    Mutant(
        "another dataset than the policy's", "check_terms",
        "found != wanted", 'found != wanted and name != "dataset_id"', "test_gate_rules",
    ),
    Mutant(
        "an attack that is demanded need not be judged", "_not_judged",
        'len(whole) == 1 and whole[0].status == "OK"', "len(whole) == 1", "test_gate test_gate_rules",
    ),
    Mutant(
        "a slice that is demanded need not be there", "check_required_slices",
        "feature not in sliced", "False", "test_gate_rules",
    ),
    Mutant(
        "a second output of another task", "check_required_tasks",
        "found == wanted", "found >= wanted", "test_gate_rules",
    ),
    Mutant(
        "a named slice is judged in the mean of others", "SliceLimits.stands_alone",
        "return own is not None and own.value is not None", "return False", "test_gate_rules",
    ),
    Mutant(
        "a feature's limit before its slice's", "SliceLimits._own",
        "of_value or self._by_slice.get((row.slice_feature, None))",
        "self._by_slice.get((row.slice_feature, None)) or of_value", "test_gate_rules",
    ),
    Mutant(
        "a stricter limit on what nobody judged", "SliceLimits.unjudged",
        "not self._is_judged(limit, judged, sliced) and self._is_stricter(limit)", "False", "test_gate_rules",
    ),
    Mutant(
        "a looser limit for every slice", "SliceLimits.__init__",
        "(limit.feature, limit.value)", "(limit.feature, None)", "test_gate_rules",
    ),
    Mutant(
        "one end of an interval may be NaN", "is_known",
        "(row.auc.low, row.auc.estimate, row.auc.high)", "(row.auc.estimate, row.auc.high)", "test_forged_evidence",
    ),
    Mutant("an exception without an end", "PolicyException.why_not", "not now < ends", "False", "test_gate_rules"),
    Mutant("an exception for ever", "PolicyException.why_not", "not ends - now <= MAX_EXCEPTION", "False", "test_gate_rules"),
    Mutant("an exception for any rule", "_exception_for", "exception.rule != rule", "False", "test_gate_rules"),
    Mutant(
        "an exception for any failure", "_why_not",
        "exception.rule not in get_args(ExcusableRule) or finding.excusable is not True",
        "exception.rule not in get_args(ExcusableRule)",
        "test_forged_evidence::test_exceptions_that_hold_bless_only_what_an_exception_can_accept",
    ),
    Mutant(
        "an exception for any model", "PolicyException.why_not",
        "self.model_digest is not None and self.model_digest != model_digest", "False",
        "test_gate_rules",
    ),
    Mutant(
        "an exception by nobody", "PolicyException.why_not",
        "is_blank(self.approver) or is_blank(self.reason)", "False", "test_policy",
    ),
    Mutant(
        "an exception for another rule, read", "Verdict._check_excused",
        "exception.rule != rule.rule", "False", "test_verdict",
    ),
    Mutant("an exception that ended, read", "Verdict._check_excused", "reason is not None", "False", "test_verdict"),
    Mutant(
        "an exception for what is unknown", "RuleResult.holds",
        'return self.status == "passed" or (self.status == "failed" and self.exception is not None)',
        'return self.status == "passed" or self.exception is not None', "test_gate_rules",
    ),
    Mutant(
        "what is unknown passes", "RuleResult.holds",
        'return self.status == "passed" or (self.status == "failed" and self.exception is not None)',
        'return self.status != "failed" or self.exception is not None', "test_gate",
    ),
    Mutant(
        "an excused rule counts as passed", "Verdict.excused",
        "rule.passed is not True and rule.holds is True", "False", "test_gate_rules",
    ),
    Mutant(
        "an epsilon that is NaN is above the limit", "check_epsilon",
        "is_above = epsilon > policy.max_epsilon", "is_above = not epsilon <= policy.max_epsilon", "test_gate_rules",
    ),
    Mutant(
        "a delta that is NaN is above the limit", "check_delta",
        "excusable=delta > policy.max_delta", "excusable=not delta <= policy.max_delta", "test_gate_rules",
    ),
    Mutant(
        "a bound that is NaN is above the limit", "check_attack_auc",
        "... and row.attack_auc_upper > limits.limit(row)", "True", "test_gate_rules",
    ),
    Mutant(
        "the last of two keys counts", "_StrictLoader.construct_mapping",
        "key.value in seen", "False", "test_policy",
    ),
    Mutant(
        "aliases", "_StrictLoader.compose_node",
        'isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None', "False", "test_policy",
    ),
    Mutant("tags", "_StrictLoader.compose_node", 'getattr(event, "tag", None) is not None', "False", "test_policy"),
    Mutant("an empty policy", "policy_file:loads", '"schema_version" not in document', "False", "test_policy"),
    Mutant(
        "a file need not demand a ledger", "policy_file:loads",
        '{"ledger": "required", **document}', '{"ledger": "none", **document}', "test_policy",
    ),
    Mutant("a symbol without a form is a name", "_is_read", '"LNP"', '"LNPS"', "test_ledger_cli test_printable"),
    Mutant("a letter without a form is a name", "_is_read", "is_ignorable(character)", "False", "test_printable"),
    Mutant("a policy may hold fillers", "hidden_character", "is_ignorable(letter)", "False", "test_policy"),
    Mutant("an exception by a blank", "_not_blank", "is_blank(text)", "not text", "test_policy"),
    Mutant("line breaks that no editor shows", "_check_visible", "place is not None", "False", "test_policy"),
    Mutant(
        "a lone carriage return", "_check_visible",
        'text.replace("\\r\\n", "\\n")', 'text.replace("\\r", "\\n")', "test_policy",
    ),
    Mutant(
        "escaped characters that turn the order", "_Checked._shows_its_text", "place is not None", "False", "test_policy",
    ),
    Mutant("a number that overflows", "strict_json:_finite", "not math.isfinite(number)", "False", "test_numbers_and_versions"),
    Mutant(
        "a whole number that overflows", "strict_json:_whole", "_finite(text)", "", "test_numbers_and_versions",
    ),
    Mutant(
        "an option that overflows", "_Finite.convert", "not math.isfinite(number)", "False", "test_numbers",
    ),
    Mutant(
        "a version that is nearly one", "_whole_number", "type(value) is not int", "value != 1", "test_numbers_and_versions",
    ),
    Mutant(
        "a verdict without the rule that refused", "Verdict.blessed",
        "not self.missing and all(rule.holds is True for rule in self.rules)",
        "bool(self.rules) and all(rule.holds is True for rule in self.rules)", "test_verdict",
    ),
    Mutant(
        "each row searches all limits", "SliceLimits._own",
        "self._by_slice.get((row.slice_feature, row.slice_value))",
        "{(limit.feature, limit.value): limit for limit in self._policy.slice_limits}.get((row.slice_feature, row.slice_value))",
        "test_many_rows",
    ),
]  # fmt: skip
