"""Attacks other than membership inference; each gives `tfx_privacy.attacks.evaluation.Finding` records.

* `attribute`: does the model tell more of a member's sensitive feature than of anybody else's?
* `exposure`: how far do canaries that were trained on stand out, and what epsilon do they rule out?
* `inversion`: are reconstructions of a class nearer to its training records than to its other records?
* `properties`: do models tell which of two training sets had more of a property?

All functions are pure: arrays of a sample of records in, findings out, with fixed seeds. A finding has status OK only
if it has an interval; it shows a leak where `low` is above `harmless`, which happens without a leak in at most half of
1 - confidence level of the runs. p-values are one-sided, against a leak. Evidence that is missing, too small or not
finite makes a finding of another status, never one without a leak.
"""
