"""Our engine.

* `ours`: as DPTrainer runs it: Poisson batches of the given expected size, gathered and padded inside the graph,
  sixteen steps a call.
* `ours_fixed`: one batch of exactly the given size, one step a call: what the other variants do.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks import workloads
from benchmarks.variants import PreparedStep, Setting
from benchmarks.variants.keras_case import keras_case
from tfx_privacy import DPParameters
from tfx_privacy.training import ColumnarDataset, Layout, Performance, keras_api, probe
from tfx_privacy.training.batches import ResidentData
from tfx_privacy.training.private_step import Execution, PrivateStep, StepSettings
from tfx_privacy.training.sampling import PoissonSampler

_RECORDS_PER_BATCH = 8


def prepare(variant: str, setting: Setting) -> PreparedStep:
    """Builds `ours` or `ours_fixed`."""
    case = keras_case(setting)
    if variant == "ours_fixed":
        data = _data(case.model, setting, setting.batch_size)
        step = _step(case.model, data, setting, Performance(layout=_one_chunk(setting.batch_size)))
        batch = np.arange(setting.batch_size)
        return case.prepared(lambda steps: _repeat(step, [batch], steps), "a fixed batch, one step a call")
    data = _data(case.model, setting, setting.batch_size * _RECORDS_PER_BATCH)
    performance = Performance(layout=_as_trained(case.model, setting))
    step = _step(case.model, data, setting, performance)
    sampler = PoissonSampler(num_units=data.num_units, sampling_probability=1 / _RECORDS_PER_BATCH)

    def run(steps: int) -> None:
        for start in range(0, steps, step.steps_per_call):
            step.run([sampler.draw() for _ in range(min(step.steps_per_call, steps - start))])

    return case.prepared(run, "Poisson batches, gathered and padded; 16 steps a call")


def _one_chunk(batch_size: int) -> Layout:
    return Layout(large=batch_size, num_large=1, small=batch_size)


def _as_trained(model: Any, setting: Setting) -> Layout:
    """The chunks that a training run would choose."""
    num_records = setting.batch_size * _RECORDS_PER_BATCH
    run = DPParameters(
        noise_multiplier=setting.noise_multiplier,
        expected_batch_size=setting.batch_size,
        steps=1,
        population=num_records,
    )
    found = probe.examine(model, _dataset(model, setting, _RECORDS_PER_BATCH), run.resolve())
    return found.layout


def _data(model: Any, setting: Setting, num_records: int) -> ResidentData:
    return ResidentData(_dataset(model, setting, num_records))


def _dataset(model: Any, setting: Setting, num_records: int) -> ColumnarDataset:
    features, labels = workloads.make_batch(setting.workload, num_records)
    if isinstance(features, tuple):
        features = dict(zip(keras_api.input_names(model), features, strict=True))
    return ColumnarDataset(features, labels)


def _step(model: Any, data: ResidentData, setting: Setting, performance: Performance) -> PrivateStep:
    settings = StepSettings(
        l2_norm_clip=setting.l2_norm_clip,
        noise_multiplier=setting.noise_multiplier,
        expected_batch_size=float(setting.batch_size),
    )
    return PrivateStep(model, data, settings, Execution(performance=performance))


def _repeat(step: PrivateStep, batches: list[np.ndarray], steps: int) -> None:
    for _ in range(math.ceil(steps / len(batches))):
        step.run(batches)
