"""What the gate demands of an evaluation where people have several records."""

from __future__ import annotations

from tfx_privacy.attacks.evaluation import Groups, PrivacyEvaluation
from tfx_privacy.guarantee.record import PrivacyGuarantee

MAX_SHARED_USERS = 0.01
"""Share of the smaller side's users that may be on both sides: an attack does not tell such a user's membership."""


def unreckoned(record: PrivacyEvaluation) -> list[str]:
    """Groups that the data show and intervals do not reckon with: they are too narrow, so a bound says nothing."""
    return [found.notice for found in record.suspected_groups]


def problem_of_users(guarantee: PrivacyGuarantee, record: PrivacyEvaluation) -> str:
    """Why an evaluation says nothing of users, where they are the privacy unit; empty if it does, or they are not."""
    if guarantee.privacy_unit != "user":
        return ""
    groups = record.groups
    if groups is None:
        return (
            "The guarantee is for users, but the attack took every record for one of its own: its intervals are too narrow "
            "where a user has several. Set PrivacyEvaluator's group_key to the feature that holds the user ids."
        )
    smaller = min(groups.num_member_groups, groups.num_nonmember_groups)
    if not groups.num_on_both_sides <= MAX_SHARED_USERS * smaller:
        return (
            f"{groups.num_on_both_sides} users have records on both sides of the attack, more than {MAX_SHARED_USERS:.0%} "
            f"of the smaller one ({smaller}). Split the data by user."
        )
    return _problem_of_numbers(guarantee, record, groups)


def _problem_of_numbers(guarantee: PrivacyGuarantee, record: PrivacyEvaluation, groups: Groups) -> str:
    """Whether the groups can be the users that were trained on: as many of them, whoever counted or declared those.

    Where the trainer did not say what it read, only a population that was counted tells.
    """
    found, size = record.trained_records, guarantee.population
    if found is not None:
        # A record that training dropped may have been the only one of its user.
        users, dropped = found.num_units, found.num_read - found.num_used
    elif size.source == "counted":
        users, dropped = size.records, 0
    else:
        return ""
    if users <= groups.num_member_groups <= users + dropped:
        return ""
    return (
        f"The attack's members are of {groups.num_member_groups} groups by {groups.group_key!r}, but the model was "
        f"trained on {users} users. Set PrivacyEvaluator's group_key to the feature that holds the user ids, "
        "and give it the examples that the trainer read."
    )
