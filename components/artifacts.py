"""The artifact types that the components exchange.

Kubeflow's rules, which TFX checks when it compiles: TYPE_NAME is `<top-level package>.<class>`
with one dot, that package exports the class, and there are no declared PROPERTIES. So the
payload is a JSON file, and what people want to see is in custom properties.
"""

from __future__ import annotations

from tfx.types import artifact


class PrivacyGuarantee(artifact.Artifact):
    """What a training run guarantees: one file, `privacy_guarantee.json`."""

    TYPE_NAME = "tfx_privacy.PrivacyGuarantee"


class PrivacyEvaluation(artifact.Artifact):
    """Results of attacking a model: one file, `privacy_evaluation.json`."""

    TYPE_NAME = "tfx_privacy.PrivacyEvaluation"


class PrivacyRelease(artifact.Artifact):
    """What preprocessing or statistics took from the records, with noise: `privacy_release.json`, or one for each split."""

    TYPE_NAME = "tfx_privacy.PrivacyRelease"


class PrivacyReport(artifact.Artifact):
    """The gate's verdict explained: `report.html`, the same facts as `report.json` and `report.md`, and `model_card.json`."""

    TYPE_NAME = "tfx_privacy.PrivacyReport"


class ReferenceModels(artifact.Artifact):
    """Models that attacks compare a model with: `<number>/` each, and one file, `reference_models.json`.

    Never to be published.

    No `Model`, so no Pusher takes it.
    """

    TYPE_NAME = "tfx_privacy.ReferenceModels"


class Canaries(artifact.Artifact):
    """Made-up records and which of them were trained on: `canaries.tfrecord.gz` and `canaries.json`."""

    TYPE_NAME = "tfx_privacy.Canaries"
