"""Privacy bugs, each a change of one place, with the tests that must find it.

`python tests/mutation/run.py` applies them.
"""

from __future__ import annotations

from mutants.accounting import ACCOUNTING
from mutants.attacks import ATTACKS
from mutants.base_models import BASE_MODELS
from mutants.charged_releases import CHARGED_RELEASES
from mutants.clipping import CLIPPING
from mutants.evaluations import EVALUATIONS
from mutants.gate import GATE
from mutants.inputs import INPUTS
from mutants.kubeflow import KUBEFLOW
from mutants.ledger import LEDGER, POSTGRESQL
from mutants.lint import LINT
from mutants.migration import MIGRATION
from mutants.mutant import Mutant
from mutants.noise import NOISE
from mutants.planning import PLANNING
from mutants.policy import POLICY
from mutants.preprocessing import PREPROCESSING
from mutants.record_wise import RECORD_WISE
from mutants.registry import REGISTRY
from mutants.releases import RELEASES
from mutants.report import REPORT
from mutants.sampling import SAMPLING
from mutants.served import SERVED
from mutants.signing import SIGNING
from mutants.statistics import STATISTICS
from mutants.trained_labels import TRAINED_LABELS
from mutants.trained_records import TRAINED_RECORDS
from mutants.validation import VALIDATION

__all__ = ["MUTANTS", "POSTGRESQL", "Mutant"]

MUTANTS = [
    *CLIPPING, *NOISE, *SAMPLING, *ACCOUNTING, *GATE, *EVALUATIONS, *POLICY, *VALIDATION, *ATTACKS, *PLANNING, *SIGNING, *LEDGER,
    *CHARGED_RELEASES, *RELEASES, *KUBEFLOW, *LINT, *MIGRATION, *REPORT, *REGISTRY, *BASE_MODELS, *INPUTS, *SERVED, *RECORD_WISE,
    *STATISTICS, *PREPROCESSING, *TRAINED_RECORDS, *TRAINED_LABELS, *POSTGRESQL,
]  # fmt: skip
