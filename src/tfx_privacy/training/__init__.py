"""DP-SGD and DP-FTRL on TensorFlow: sampling, clipping, noise and the loop. Knows Keras, knows no TFX."""

from tfx_privacy.training.batches import Layout as Layout
from tfx_privacy.training.checkpoint import Checkpoints as Checkpoints
from tfx_privacy.training.data import ColumnarDataset as ColumnarDataset
from tfx_privacy.training.loop import Outcome as Outcome
from tfx_privacy.training.loop import Progress as Progress
from tfx_privacy.training.loop import check_model_beforehand as check_model_beforehand
from tfx_privacy.training.loop import check_run as check_run
from tfx_privacy.training.loop import train as train
from tfx_privacy.training.private_step import Performance
from tfx_privacy.training.validation import check_model as check_model
from tfx_privacy.training.weights import load_weights as load_weights

__all__ = [
    "Checkpoints",
    "ColumnarDataset",
    "Layout",
    "Outcome",
    "Performance",
    "Progress",
    "check_model",
    "check_model_beforehand",
    "check_run",
    "load_weights",
    "train",
]
