"""What a report says of preprocessing and statistics that are in the guarantee's epsilon."""

from __future__ import annotations

from collections.abc import Iterator

from tfx_privacy.guarantee.record import PrivacyGuarantee


def uses(record: PrivacyGuarantee) -> Iterator[tuple[str, str]]:
    """Of each release: what was taken from the records, and with how much noise."""
    for release in record.releases:
        thresholds = f", and thresholds spent delta {release.delta_spent:g}" if release.delta_spent else ""
        yield (
            f"Released by {release.component}: {', '.join(release.kinds)} of {', '.join(release.splits)}",
            f"One Gaussian mechanism of noise multiplier {release.noise_multiplier:.6g}{thresholds}; it is in epsilon.",
        )


def of_others(record: PrivacyGuarantee, use: str) -> str:
    """A use of the data by components of TFX, where statistics may have been released as well."""
    has_own = any(release.component == "statistics" for release in record.releases)
    return f"Other {use[:1].lower()}{use[1:]}" if has_own else use
