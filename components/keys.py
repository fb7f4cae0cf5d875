"""Keys that components share: of inputs and outputs in their specs, and of custom properties in ML Metadata.

What only one component reads is in its own executor.
"""

from __future__ import annotations

EXAMPLES = "examples"
STATISTICS = "statistics"
TRANSFORM_GRAPH = "transform_graph"
SCHEMA = "schema"
MODEL = "model"
MODEL_RUN = "model_run"
MODEL_BLESSING = "model_blessing"
PRIVACY_GUARANTEE = "privacy_guarantee"
PRIVACY_RELEASE = "privacy_release"
"""Output of the components that release; DPTrainer takes several, as `privacy_release_1` and so on."""
PRIVACY_EVALUATION = "privacy_evaluation"
REFERENCE_MODELS = "reference_models"
CANARIES = "canaries"
BLESSING = "blessing"
REPORT = "report"

LABEL_KEY = "label_key"
"""Execution parameter; and a property of DPTrainer's Model, by which PrivacyEvaluator finds the label."""
GROUP_KEY = "group_key"
"""Execution parameter of PrivacyEvaluator; and a property of DPTrainer's Model, its user_id_key where users are the unit."""
LEDGER = "ledger"
"""Execution parameter of DPTrainer and BudgetValidator: `env:VARIABLE`."""
SPLITS_DISJOINT_FOR = "splits_disjoint_for"
"""Execution parameter of DPTrainer and of the components that release: what `splits.disjoint_for` found in the pipeline."""
MODEL_DIGEST = "model_digest"
"""Property of a guarantee, an evaluation and a blessing: the model that they are of."""
