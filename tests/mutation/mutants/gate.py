"""Bugs in the gate's rules on the guarantee."""

from __future__ import annotations

from mutants.mutant import Mutant

GATE = [
    Mutant(
        "a test's noise is as good", "DPMechanism.is_private",
        "return self.noise_source != TEST_NOISE", "return True", "test_guarantee test_gate",
    ),
    Mutant(
        "a pass of many passes counts once", "DPMechanism._consistent",
        "(max(self.passes) - 1) * self.sampling_probability < _NEARLY_ALL", "True", "test_batches_and_passes",
    ),
    Mutant(
        "any share may be stated", "guarantee.record:_check_batch",
        "math.isclose(mechanism.expected_batch_size, drawn, rel_tol=_BATCH_ROUNDING)", "True",
        "test_batches_and_passes",
    ),
    Mutant(
        "a batch of a thousandth of a unit", "DPMechanism._consistent",
        "self.expected_batch_size >= 1.0", "True", "test_batches_and_passes",
    ),
    Mutant(
        "any groups are users where the population is declared", "gate.rules.groups:_problem_of_numbers",
        "found is not None", 'found is not None and size.source == "counted"', "test_gate_groups",
    ),
    Mutant(
        "what is stated is believed", "recomputed_epsilon",
        "not guarantee.stated_epsilon >= bounds.best * (1 - _SPREAD)", "False", "test_guarantee test_gate",
    ),
    Mutant(
        "epsilon may be anything", "check_epsilon",
        "math.isfinite(epsilon) and epsilon <= policy.max_epsilon", "math.isfinite(epsilon)", "test_gate",
    ),
    Mutant(
        "an infinite epsilon passes", "check_epsilon",
        "math.isfinite(epsilon) and epsilon <= policy.max_epsilon",
        "not math.isfinite(epsilon) or epsilon <= policy.max_epsilon", "test_gate",
    ),
    Mutant(
        "a bound that is no number passes", "upper_bound",
        "return upper if is_known(row) else 1.0", "return upper if is_known(row) else 0.5", "test_gate",
    ),
    Mutant(
        "the estimate for the upper bound", "upper_bound",
        "upper = row.attack_auc_upper", "upper = row.auc.estimate if row.auc else 1.0", "test_gate",
    ),
    Mutant(
        "an error in a rule passes", "decide:_apply",
        "finding = Finding(False, _UNKNOWN, str(error))",
        'status, finding = "passed", Finding(True, _UNKNOWN, str(error))', "test_gate",
    ),
    Mutant("another model's guarantee", "check_digest", "stated != digest", "False", "test_gate"),
    Mutant(
        "the audit's defect is overlooked", "_check_audit", "not shown <= claimed", "False", "test_gate",
    ),
    Mutant(
        "the audit's bound for every mechanism is overlooked", "_check_audit",
        "(guarantee.audit.epsilon_lower_bound, guarantee.audit.epsilon_lower_bound_one_run)",
        "(guarantee.audit.epsilon_lower_bound,)", "test_proved_epsilon",
    ),
    Mutant("what canaries prove does not count", "is_disproved", "epsilon <= records * single", "True", "test_proved_epsilon"),
    Mutant(
        "a bound at another delta is held against the guarantee's own", "is_disproved",
        "share = delta", "share = guarantee.target_delta", "test_proved_epsilon",
    ),
    Mutant(
        "several records may cost what one does", "is_disproved",
        "needed >= share * (1 - 1e-3)", "True", "test_proved_epsilon",
    ),
    Mutant(
        "canaries by an unknown metric prove nothing", "Finding._speaks_of_epsilon",
        "self.metric not in EXPOSURE_METRICS", '"epsilon" in self.metric', "test_proved_epsilon",
    ),
    Mutant(
        "a bound in the details alone does not count", "Finding.epsilon_bound",
        "numbers or others", "numbers", "test_proved_epsilon",
    ),
    Mutant(
        "a finding that speaks of epsilon in other words", "Finding.epsilon_bound",
        "match is None or not 0.0 < delta < 1.0", "False", "test_proved_epsilon",
    ),
    Mutant(
        "only the weaker bound of canaries counts", "Finding.epsilon_bound",
        "[proved] if records == 1 and proved is not None else []", "[]", "test_proved_epsilon",
    ),
    Mutant(
        "the other epsilon may be anything", "_check_rdp",
        'stated != "inf" and not stated >= bounds.rdp * (1 - 1e-6)', "False", "test_proved_epsilon",
    ),
    Mutant(
        "the audit makes no correction", "_checked_levels",
        "return delta, (1.0 - confidence) / len(_GUESSED_SHARES)", "return delta, 10 * (1.0 - confidence)",
        "test_auditing",
    ),
]  # fmt: skip
