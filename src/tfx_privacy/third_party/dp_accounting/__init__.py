"""The part of dp-accounting 0.4.3 that this package uses; README.md says why it is a copy."""

from tfx_privacy.third_party.dp_accounting import pld as pld
from tfx_privacy.third_party.dp_accounting import rdp as rdp
from tfx_privacy.third_party.dp_accounting.dp_event import ComposedDpEvent as ComposedDpEvent
from tfx_privacy.third_party.dp_accounting.dp_event import DpEvent as DpEvent
from tfx_privacy.third_party.dp_accounting.dp_event import GaussianDpEvent as GaussianDpEvent
from tfx_privacy.third_party.dp_accounting.dp_event import NoOpDpEvent as NoOpDpEvent
from tfx_privacy.third_party.dp_accounting.dp_event import PoissonSampledDpEvent as PoissonSampledDpEvent
from tfx_privacy.third_party.dp_accounting.dp_event import SelfComposedDpEvent as SelfComposedDpEvent

__version__ = "0.4.3"
