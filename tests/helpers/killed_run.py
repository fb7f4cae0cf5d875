"""A training run that kills itself in the middle: `python killed_run.py FOLDER STEP`. See test_checkpoint.py."""

import os
import signal
import sys

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from small_models import make_data, make_model, resolved

from tfx_privacy import training

FOLDER, STEP = sys.argv[1], int(sys.argv[2])
RUN = resolved(40, steps=30)


def kill(progress: training.Progress) -> None:
    if progress.step == STEP:
        os.kill(os.getpid(), signal.SIGKILL)


with training.Checkpoints(FOLDER, every=10) as checkpoints:
    training.train(
        make_model(optimizer="adam"), make_data(), RUN, noise_multiplier=1.0, checkpoints=checkpoints, on_progress=kill
    )
