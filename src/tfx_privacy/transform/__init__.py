"""tft's analyzers with differential privacy, for the `preprocessing_fn` of a DPTransform.

    import tfx_privacy.transform as dpt

    def preprocessing_fn(inputs):
        return {
            'fare': dpt.scale_to_z_score(inputs['fare'], bounds=(0.0, 200.0)),
            'company': dpt.compute_and_apply_vocabulary(inputs['company'], top_k=50),
        }

The names, and what they return, are tft's; `bounds` are new. `tfx_privacy.transform.analyzers` explains what all of them take.
"""

from __future__ import annotations

from tfx_privacy.transform.analyzers import PRIVATE as PRIVATE
from tfx_privacy.transform.analyzers import count_per_key as count_per_key
from tfx_privacy.transform.analyzers import histogram as histogram
from tfx_privacy.transform.analyzers import max as max
from tfx_privacy.transform.analyzers import mean as mean
from tfx_privacy.transform.analyzers import min as min
from tfx_privacy.transform.analyzers import quantiles as quantiles
from tfx_privacy.transform.analyzers import var as var
from tfx_privacy.transform.dry_run import DryRun as DryRun
from tfx_privacy.transform.dry_run import dry_run as dry_run
from tfx_privacy.transform.mappers import apply_buckets as apply_buckets
from tfx_privacy.transform.mappers import bucketize as bucketize
from tfx_privacy.transform.mappers import scale_by_min_max as scale_by_min_max
from tfx_privacy.transform.mappers import scale_to_0_1 as scale_to_0_1
from tfx_privacy.transform.mappers import scale_to_z_score as scale_to_z_score
from tfx_privacy.transform.vocabularies import compute_and_apply_vocabulary as compute_and_apply_vocabulary
from tfx_privacy.transform.vocabularies import compute_vocabulary as compute_vocabulary
from tfx_privacy.transform.vocabularies import vocabulary as vocabulary
