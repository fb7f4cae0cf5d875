"""DP-SGD of jax_privacy, on plain jax models of the same shapes.

* `jax_np`: the jax model without privacy.
* `jax_dp`: `clipped_grad` and `gaussian_privatizer`, compiled together with the update.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax_privacy import clipping, noise_addition

from benchmarks import workloads
from benchmarks.variants import PreparedStep, Setting, jax_models


def prepare(variant: str, setting: Setting) -> PreparedStep:
    """Builds `jax_np` or `jax_dp`."""
    parameters = jax_models.initial_parameters(setting.workload)
    batch = jax.tree.map(jnp.asarray, workloads.make_batch(setting.workload, setting.batch_size))
    state, step = _private(setting, parameters) if variant == "jax_dp" else _nonprivate(setting)
    size = sum(parameter.size for parameter in parameters)

    def run(steps: int) -> None:
        # The compiled step owns its arguments' memory, as an update in place would.
        nonlocal parameters, state
        for _ in range(steps):
            parameters, state = step(parameters, state, *batch)
        jax.block_until_ready(parameters)

    return PreparedStep(run, num_parameters=size)


def _descend(setting: Setting, parameters: Any, gradients: Any) -> Any:
    return jax.tree.map(lambda weight, slope: weight - setting.learning_rate * slope, parameters, gradients)


def _nonprivate(setting: Setting) -> tuple[Any, Any]:
    gradient = jax.grad(functools.partial(jax_models.mean_loss, setting.workload))

    @functools.partial(jax.jit, donate_argnums=0)
    def step(parameters: Any, state: Any, features: Any, labels: Any) -> Any:
        return _descend(setting, parameters, gradient(parameters, features, labels)), state

    return (), step


def _private(setting: Setting, parameters: Any) -> tuple[Any, Any]:
    gradient = clipping.clipped_grad(
        functools.partial(jax_models.mean_loss, setting.workload),
        l2_clip_norm=setting.l2_norm_clip,
        normalize_by=setting.batch_size,
        batch_argnums=(1, 2),
    )
    privatizer = noise_addition.gaussian_privatizer(
        stddev=setting.noise_multiplier * setting.l2_norm_clip / setting.batch_size, prng_key=jax.random.key(2)
    )

    @functools.partial(jax.jit, donate_argnums=0)
    def step(parameters: Any, state: Any, features: Any, labels: Any) -> Any:
        noisy, state = privatizer.update(gradient(parameters, features, labels), state)
        return _descend(setting, parameters, noisy), state

    return privatizer.init(parameters), step
