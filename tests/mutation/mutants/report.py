"""Bugs in what the report claims."""

from __future__ import annotations

from mutants.mutant import Mutant

REPORT = [
    Mutant(
        "a report that was turned is read", "_Concluding._read",
        "strict_json.canonical(value[name]) != strict_json.canonical(conclusion)",
        "type(value[name]) is not type(conclusion)", "test_report_facts",
    ),
    Mutant(
        "an epsilon that was not established is claimed", "build:build",
        'is_established = epsilon is not None and epsilon.status != "unknown"', "is_established = epsilon is not None",
        "test_report_facts",
    ),
    Mutant(
        "the first row is the strongest attack", "_strongest",
        "limits.strongest()", "attacked.results[0]", "test_strongest_attack",
    ),
    Mutant(
        "mu is of the last run alone", "_over_steps",
        "record.stated_epsilon <= spent[-1].epsilon * _GRID", "True", "test_report_facts",
    ),
    Mutant(
        "what was not covered is covered", "uses:_upstream",
        'covered="yes" if item.covered else "no"', 'covered="yes"', "test_report_facts",
    ),
    Mutant(
        "a graph is covered by an epsilon that there is not", "_within_epsilon",
        "not is_private(record)", "False", "test_report_facts::test_without_an_epsilon_nothing_is_covered_by_it",
    ),
    Mutant(
        "an epsilon that was not established covers", "_within_epsilon",
        "not is_established", "False", "test_report_facts::test_without_an_epsilon_nothing_is_covered_by_it",
    ),
    Mutant(
        "what a base model brings is listed in place of the model's own", "uses:_upstream",
        "[item for item in record.scope if item.artifact == artifact]",
        "[item for item in record.scope if item.artifact == artifact][:1]", "test_report_facts",
    ),
    Mutant(
        "nothing was waived, whatever the policy allows", "allowed",
        "items and getattr(policy, name)", "False", "test_plain",
    ),
    Mutant(
        "an exception is no waiver", "plain:_waived",
        "found += [f'{name}: {what}' for name, what in allowed(verdict.policy, record, attacked)]",
        "found = [f'{name}: {what}' for name, what in allowed(verdict.policy, record, attacked)]", "test_plain",
    ),
    Mutant(
        "constants are not counted", "ScopeItem.held",
        "files, constants = len(self.vocabularies), self.num_constants", "files, constants = len(self.vocabularies), 0",
        "test_plain",
    ),
    Mutant(
        "a leak of another attack is not said", "plain:_attacks",
        "leaking = sum(map(leaks, found))", "leaking = 0", "test_plain",
    ),
    Mutant(
        "what is not established is promised", "_promised",
        'rule.status == "unknown"', "False", "test_plain",
    ),
    Mutant(
        "the share that is left is rounded up", "percent", "math.floor(tenths)", "math.ceil(tenths)", "test_renyi_filter",
    ),
    Mutant(
        "the conversion is paid by each run", "renyi_filter:explained",
        "spent_epsilon - charged * UNIT", "spent_epsilon", "test_renyi_filter",
    ),
    Mutant(
        "the page shows two digits of an epsilon", "wording:epsilon",
        "rounded_up(value, 4)", 'f"{value:.2f}"', "test_plain test_figures",
    ),
    Mutant(
        "the share of a budget may be less than nothing", "share_left",
        "max(0.0, 1.0 - charged / budget)", "1.0 - charged / budget", "test_report_facts",
    ),
    Mutant(
        "mu covers a part of the profile", "_smallest_mu",
        "np.all(deltas <= profile(middle, epsilons))", "np.any(deltas <= profile(middle, epsilons))",
        "test_gaussian_dp",
    ),
    Mutant(
        "the error of fit is too small", "fit",
        "(profile(mu, epsilons) - deltas) / (1.0 + np.exp(np.minimum(epsilons, 700.0)))",
        "(profile(mu, epsilons) - deltas) / (1.0 + np.exp(np.minimum(2 * epsilons, 700.0))) / 2", "test_gaussian_dp",
    ),
]  # fmt: skip
