"""The five models of `benchmarks.workloads` in plain jax.

The parameters are a list of arrays in the order and the shapes Keras lists them, attention included.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks import workloads

_ATTENTION = (workloads.EMBEDDING_WIDTH, workloads.NUM_HEADS, workloads.HEAD_WIDTH)
_TABLE = (workloads.VOCABULARY, workloads.EMBEDDING_WIDTH)


def _dense_shapes(*widths: int) -> list[tuple[int, ...]]:
    return [shape for inner, outer in itertools.pairwise(widths) for shape in ((inner, outer), (outer,))]


def _transformer_shapes() -> list[tuple[int, ...]]:
    width = workloads.EMBEDDING_WIDTH
    projections = [_ATTENTION, _ATTENTION[1:]] * 3
    output = [(*_ATTENTION[1:], width), (width,)]
    normalization = [(width,), (width,)]
    feed_forward = _dense_shapes(width, workloads.FEED_FORWARD_WIDTH, width)
    return [_TABLE, *projections, *output, *normalization, *feed_forward, *normalization, *_dense_shapes(width, 2)]


_CATEGORY_TABLE = (workloads.CATEGORY_VOCABULARY, workloads.CATEGORY_WIDTH)
_WIDE = workloads.NUM_CATEGORIES * workloads.CATEGORY_WIDTH + workloads.NUM_CATEGORY_NUMBERS

SHAPES: dict[str, list[tuple[int, ...]]] = {
    "W1": _dense_shapes(workloads.NUM_NUMBERS, 256, 128, 1),
    "W2": [(8, 8, 1, 16), (16,), (4, 4, 16, 32), (32,), *_dense_shapes(512, 32, 10)],
    "W3": [_TABLE, *_dense_shapes(workloads.EMBEDDING_WIDTH, 64, 2)],
    "W4": [*[_CATEGORY_TABLE] * workloads.NUM_CATEGORIES, *_dense_shapes(_WIDE, 128, 64, 1)],
    "W5": _transformer_shapes(),
}


def initial_parameters(name: str, *, seed: int = 1) -> list[jax.Array]:
    """Random weights of a workload's model; scales by layer, not Keras' initializers."""
    random = np.random.default_rng(seed)
    return [jnp.asarray(_initial(random, shape)) for shape in SHAPES[name]]


def _initial(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    fan_in = 400 if shape[0] >= workloads.CATEGORY_VOCABULARY else int(np.prod(shape[:-1]))
    scale = 0.01 if len(shape) == 1 else fan_in**-0.5
    return scale * random.standard_normal(shape, dtype=np.float32)


def _dense(hidden: Any, parameters: Iterator[Any]) -> Any:
    return hidden @ next(parameters) + next(parameters)


def _dense_stack(hidden: Any, parameters: Iterator[Any], *, depth: int) -> Any:
    for _ in range(depth):
        hidden = jax.nn.relu(_dense(hidden, parameters))
    return _dense(hidden, parameters)


def _convolution(hidden: Any, parameters: Iterator[Any], *, padding: str) -> Any:
    kernel, bias = next(parameters), next(parameters)
    layout = ("NHWC", "HWIO", "NHWC")
    hidden = lax.conv_general_dilated(hidden, kernel, (2, 2), padding, dimension_numbers=layout)
    return lax.reduce_window(jax.nn.relu(hidden + bias), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 1, 1, 1), "VALID")


def _attention(hidden: Any, parameters: Iterator[Any]) -> Any:
    query, key, value = (
        jnp.einsum("btd,dhk->bthk", hidden, next(parameters)) + next(parameters) for _ in ("query", "key", "value")
    )
    weights = jax.nn.softmax(jnp.einsum("bthk,bshk->bhts", query * workloads.HEAD_WIDTH**-0.5, key))
    attended = jnp.einsum("bhts,bshk->bthk", weights, value)
    return jnp.einsum("bthk,hkd->btd", attended, next(parameters)) + next(parameters)


def _normalize(hidden: Any, parameters: Iterator[Any]) -> Any:
    centred = hidden - hidden.mean(axis=-1, keepdims=True)
    variance = jnp.square(centred).mean(axis=-1, keepdims=True)
    return centred * lax.rsqrt(variance + 1e-3) * next(parameters) + next(parameters)


def _tabular(parameters: Iterator[Any], numbers: Any) -> Any:
    return _dense_stack(numbers, parameters, depth=2)


def _images(parameters: Iterator[Any], image: Any) -> Any:
    hidden = _convolution(image, parameters, padding="SAME")
    hidden = _convolution(hidden, parameters, padding="VALID")
    return _dense_stack(hidden.reshape(hidden.shape[0], -1), parameters, depth=1)


def _text(parameters: Iterator[Any], tokens: Any) -> Any:
    return _dense_stack(next(parameters)[tokens].mean(axis=1), parameters, depth=1)


def _wide_tabular(parameters: Iterator[Any], features: tuple[Any, Any]) -> Any:
    categories, numbers = features
    embedded = [next(parameters)[categories[:, column]] for column in range(workloads.NUM_CATEGORIES)]
    return _dense_stack(jnp.concatenate([*embedded, numbers], axis=1), parameters, depth=2)


def _transformer(parameters: Iterator[Any], tokens: Any) -> Any:
    hidden = next(parameters)[tokens]
    hidden = _normalize(hidden + _attention(hidden, parameters), parameters)
    hidden = _normalize(hidden + _dense_stack(hidden, parameters, depth=1), parameters)
    return _dense(hidden.mean(axis=1), parameters)


_LOGITS: dict[str, Callable[[Iterator[Any], Any], Any]] = {
    "W1": _tabular,
    "W2": _images,
    "W3": _text,
    "W4": _wide_tabular,
    "W5": _transformer,
}


def logits(name: str, parameters: Sequence[Any], features: Any) -> Any:
    """The model's outputs, of shape (batch, classes)."""
    return _LOGITS[name](iter(parameters), features)


def mean_loss(name: str, parameters: Sequence[Any], features: Any, labels: Any) -> Any:
    """The loss the Keras models are compiled with."""
    outputs = logits(name, parameters, features)
    if workloads.WORKLOADS[name].is_binary:
        return jnp.mean(jax.nn.softplus(outputs) - labels * outputs)
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[:, None], axis=1))
