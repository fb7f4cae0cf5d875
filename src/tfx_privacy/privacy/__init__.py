"""The privacy core: parameters, accounting, guarantee, attack statistics and the gate.

Pure Python on numpy, scipy and dp_accounting; knows neither TFX nor Beam nor TensorFlow.
"""

from tfx_privacy.privacy.accounting import calibrate_noise_multiplier as calibrate_noise_multiplier
from tfx_privacy.privacy.accounting import epsilon as epsilon
from tfx_privacy.privacy.evaluation import PrivacyEvaluation as PrivacyEvaluation
from tfx_privacy.privacy.guarantee import PrivacyGuarantee as PrivacyGuarantee
from tfx_privacy.privacy.parameters import DPParameters as DPParameters

__all__ = ["DPParameters", "PrivacyEvaluation", "PrivacyGuarantee", "calibrate_noise_multiplier", "epsilon"]
