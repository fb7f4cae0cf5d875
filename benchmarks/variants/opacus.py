"""DP-SGD of Opacus, on torch models of the same shapes.

* `opacus_np`: the torch model without privacy.
* `opacus_ghost`: fast gradient clipping with ghost norms, Opacus' answer to memory.
* `opacus_hooks`: per-example gradients by its own rules for each layer, its default.
* `opacus_functorch`: per-example gradients by `torch.func`.

Opacus is put together by hand, without `PrivacyEngine.make_private`, which would replace the batch by a data loader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from opacus.grad_sample import GradSampleModule
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizer
from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

from benchmarks import workloads
from benchmarks.variants import PreparedStep, Setting, torch_models


def prepare(variant: str, setting: Setting) -> PreparedStep:
    """Builds one of the four variants."""
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    model = torch_models.build_model(setting.workload)
    size = sum(parameter.numel() for parameter in model.parameters())
    note = _ghost_note(model) if variant == "opacus_ghost" else ""
    step = _training_step(*_BUILDERS[variant](model, setting), setting)
    return PreparedStep(step, num_parameters=size, note=note)


def _training_step(model: Any, optimizer: Any, criterion: Any, setting: Setting) -> Callable[[int], None]:
    inputs, labels = torch_models.make_batch(setting.workload, setting.batch_size)
    is_binary = workloads.WORKLOADS[setting.workload].is_binary

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            outputs = model(*inputs)
            criterion(outputs[:, 0] if is_binary else outputs, labels).backward()
            optimizer.step()

    return run


def _criterion(setting: Setting) -> Any:
    binary = workloads.WORKLOADS[setting.workload].is_binary
    return torch.nn.BCEWithLogitsLoss() if binary else torch.nn.CrossEntropyLoss()


def _sgd(model: Any, setting: Setting) -> Any:
    return torch.optim.SGD(model.parameters(), lr=setting.learning_rate)


def _privacy(setting: Setting) -> dict[str, Any]:
    return {
        "noise_multiplier": setting.noise_multiplier,
        "max_grad_norm": setting.l2_norm_clip,
        "expected_batch_size": setting.batch_size,
    }


def _nonprivate(model: Any, setting: Setting) -> tuple[Any, Any, Any]:
    return model, _sgd(model, setting), _criterion(setting)


def _per_example(*, force_functorch: bool) -> Callable[[Any, Setting], tuple[Any, Any, Any]]:
    def build(model: Any, setting: Setting) -> tuple[Any, Any, Any]:
        wrapped = GradSampleModule(model, force_functorch=force_functorch)
        return wrapped, DPOptimizer(_sgd(wrapped, setting), **_privacy(setting)), _criterion(setting)

    return build


def _ghost(model: Any, setting: Setting) -> tuple[Any, Any, Any]:
    wrapped = GradSampleModuleFastGradientClipping(model, max_grad_norm=setting.l2_norm_clip)
    optimizer = DPOptimizerFastGradientClipping(_sgd(wrapped, setting), **_privacy(setting))
    return wrapped, optimizer, DPLossFastGradientClipping(wrapped, optimizer, _criterion(setting))


def _ghost_note(model: Any) -> str:
    """Names the layers Opacus has no ghost norm for: it computes their per-example gradients, without a word."""
    with_parameters = {type(layer) for layer in model.modules() if list(layer.parameters(recurse=False))}
    missing = sorted(
        kind.__name__ for kind in with_parameters - set(GradSampleModuleFastGradientClipping.NORM_SAMPLERS)
    )
    return f"per-example gradients for {', '.join(missing)}" if missing else ""


_BUILDERS = {
    "opacus_np": _nonprivate,
    "opacus_ghost": _ghost,
    "opacus_hooks": _per_example(force_functorch=False),
    "opacus_functorch": _per_example(force_functorch=True),
}
