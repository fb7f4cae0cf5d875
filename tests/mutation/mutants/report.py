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
        "what was not covered is covered", "checklist:_upstream",
        'covered="yes" if item.covered else "no"', 'covered="yes"', "test_report_facts",
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
