"""Settings of the pipeline; TODO marks what your own data change."""

from __future__ import annotations

import os

from tfx.components import ImportExampleGen

from tfx_privacy import DPParameters

PIPELINE_NAME = "{{PIPELINE_NAME}}"

PROJECT_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Folder for artifacts, metadata, pushed models, and the ledger of the demonstration.
OUTPUT_DIR = PROJECT_DIR
# TODO: the folder of your TFRecords of tf.Examples. demo_data.py fills this one if it is not there.
DATA_PATH = os.path.join(PROJECT_DIR, "data")
# The component that reads them.
EXAMPLE_GEN = ImportExampleGen
# TODO: where your data are split already, the files of each split below DATA_PATH: {"train": "train/*", "eval": "eval/*"}.
# Empty: one record in three is held out.
SPLITS: dict[str, str] = {}

# Packaged with the pipeline when it runs here, so a change of the file is seen by TFX's cache.
MODULE_FILE = os.path.join(PROJECT_DIR, "models", "model.py")
# The same module by its name, as the container image holds it.
MODULE_PATH = "models.model"

# Who is protected, and how much all trainings on their data may spend together.
LEDGER = "env:TFX_PRIVACY_LEDGER"
# TODO: a name for the people's data, not for a copy or a date of it; the policy names it too.
DATASET_ID = "handwritten-digits"
# TODO: number of training records in round numbers, declared and public; delta below 1 / population; and the epsilon
# of all trainings together, which whoever answers for these people decides. In a ledger of your own, register the same.
POPULATION = 1_200
DELTA = 1e-4
BUDGET_EPSILON = 10.0
# Of DELTA, what the thresholds of private vocabularies may spend in all runs together: there are none.
BUDGET_THRESHOLD_DELTA = 0.0

# No analyzer reads the records here, so Transform releases nothing. With an analyzer of tfx_privacy.transform in the module:
# DPPreprocessing(target_epsilon=0.3, target_delta=DELTA). Private statistics, of which the schema is made: STATISTICS, with
# FEATURES that says which; docs/preprocessing.md.
PREPROCESSING = STATISTICS = None
FEATURES: dict[str, object] = {}

# TODO: what one training spends, and how; at most what the policy allows. `tfx-privacy plan --population 1200
# --target-delta 1e-4` shows what other values buy.
PRIVACY = DPParameters(
    target_epsilon=3.0,
    target_delta=DELTA,
    l2_norm_clip=1.0,
    expected_batch_size=256,
    epochs=30,
)

# 2 makes the attacks much stronger: one more training, charged as such. `tfx-privacy plan --reference-models 2` shows it.
REFERENCE_MODELS = 0

# The limits of the gate.
POLICY_FILE = os.path.join(PROJECT_DIR, "privacy_policy.yaml")
# TODO: raw features by whose values the attacks and the metrics are repeated: groups in which a leak must not hide. There
# are none here. Those that no model may be without are in the policy's required_slices as well.
SLICE_FEATURES: list[str] = []
# Held-out records that equal a training record: up to this share is ordinary, and more is a split that leaks.
MAX_OVERLAP = 0.05
# TODO: the Evaluator's metrics, by TFMA's names, and the least value of a model that is good enough to be pushed.
METRICS: dict[str, float | None] = {"SparseCategoricalAccuracy": 0.8}

# Kubeflow Pipelines (.yaml) or Vertex AI (.json).
COMPILED_FILE = PIPELINE_NAME + ".yaml"
# TODO: the image that Dockerfile makes, where it can be pulled from, and a bucket.
PIPELINE_IMAGE = PIPELINE_NAME + ":latest"
# On open source, start runs with this root: the compiled file cannot say where artifacts go.
KUBEFLOW_ROOT = "gs://YOUR_BUCKET/" + PIPELINE_NAME
KUBEFLOW_DATA_PATH = "gs://YOUR_BUCKET/data"
# Open source: the key `address` of the Kubernetes secret `privacy-ledger` holds the ledger's address.
KUBERNETES_SECRETS = ("TFX_PRIVACY_LEDGER=privacy-ledger:address",)
