"""The variants, by name, and what each of them promises to `benchmarks.worker`.

A family is one module of this package with a function `prepare(variant, setting) -> PreparedStep`. This file imports
none of them: the command line knows all names without TensorFlow, torch or jax.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class UnsupportedVariantError(Exception):
    """The variant cannot run this model as its name promises; a number for something else would mislead."""


class NotInstalledError(Exception):
    """The interpreter of the variant lacks one of its packages."""


@dataclass(frozen=True)
class Setting:
    """What all variants of one table have in common.

    Attributes:
      workload: A key of `benchmarks.workloads.WORKLOADS`.
      batch_size: Examples per step; the expected batch size of the private variants.
      keras: "tf_keras" (Keras 2) or "keras" (Keras 3), for the variants that train a Keras model.
      l2_norm_clip: Largest norm of one example's gradient.
      noise_multiplier: Noise stddev / l2_norm_clip.
      learning_rate: Of plain SGD, without momentum.
    """

    workload: str
    batch_size: int
    keras: str = "tf_keras"
    l2_norm_clip: float = 1.0
    noise_multiplier: float = 1.0
    learning_rate: float = 0.05


@dataclass(frozen=True)
class PreparedStep:
    """A training step on a batch in memory, built but not run.

    Attributes:
      run: Takes the number of steps, and returns when their results are there.
      num_parameters: Of the model; the same number in every framework.
      note: What a reader of the table must know of this variant on this model.
    """

    run: Callable[[int], None]
    num_parameters: int
    note: str = ""


@dataclass(frozen=True)
class Family:
    """A module of variants.

    Attributes:
      module: Inside `benchmarks.variants`.
      interpreter: Which command line option names its Python: "tensorflow" (the one that runs the
        benchmark), "opacus", "jax".
      variants: Names, in the order of the table.
      requires: Packages as one imports them.
      distributions: Packages whose versions belong next to the numbers.
    """

    module: str
    interpreter: str
    variants: tuple[str, ...]
    requires: tuple[str, ...]
    distributions: tuple[str, ...]


FAMILIES = (
    Family(
        "nonprivate",
        interpreter="tensorflow",
        variants=("np_step", "np_dense", "np_fit"),
        requires=("tensorflow",),
        distributions=("tensorflow", "tf_keras", "keras"),
    ),
    Family(
        "ours",
        interpreter="tensorflow",
        variants=("ours", "ours_fixed"),
        requires=("tensorflow", "tfx_privacy"),
        distributions=("tensorflow", "tf_keras", "keras", "tfx-privacy"),
    ),
    Family(
        "tensorflow_privacy",
        interpreter="tensorflow",
        variants=("tfp_fast", "tfp_fast_all", "tfp_dpmodel", "tfp_vec", "tfp_keras_mb"),
        requires=("tensorflow", "tensorflow_privacy", "tfx_privacy"),
        distributions=("tensorflow", "tf_keras", "tensorflow-privacy"),
    ),
    Family(
        "opacus",
        interpreter="opacus",
        variants=("opacus_np", "opacus_ghost", "opacus_hooks", "opacus_functorch"),
        requires=("torch", "opacus"),
        distributions=("torch", "opacus"),
    ),
    Family(
        "jax_privacy",
        interpreter="jax",
        variants=("jax_np", "jax_dp"),
        requires=("jax", "jax_privacy"),
        distributions=("jax", "jaxlib", "jax-privacy"),
    ),
)

VARIANTS = tuple(variant for family in FAMILIES for variant in family.variants)


def family_of(variant: str) -> Family:
    """The family a variant belongs to."""
    for family in FAMILIES:
        if variant in family.variants:
            return family
    raise ValueError(f"Expected variant={variant!r} in {', '.join(VARIANTS)}.")


def prepare(variant: str, setting: Setting) -> PreparedStep:
    """Builds a variant's step in this process.

    Raises:
      NotInstalledError: If a package of the variant is missing.
      UnsupportedVariantError: If the variant cannot do what its name says on this model.
    """
    family = family_of(variant)
    for package in family.requires:
        if importlib.util.find_spec(package) is None:
            raise NotInstalledError(package)
    module: Any = importlib.import_module(f"{__name__}.{family.module}")
    return module.prepare(variant, setting)


def versions(variant: str) -> dict[str, str]:
    """Versions of what the variant runs on, as far as installed."""
    found = {}
    for distribution in family_of(variant).distributions:
        try:
            found[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
