"""Lines of a module that DPTrainer refuses, or that no guarantee covers."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator

from tfx_privacy.errors import ModelError
from tfx_privacy.migration import slicing
from tfx_privacy.migration.module import Module

# tensorflow_transform's functions that look at all records (tests compare the list with its source).
ANALYZERS = frozenset(
    (
        "approximate_vocabulary", "bucketize", "bucketize_per_key", "compute_and_apply_approximate_vocabulary",
        "compute_and_apply_vocabulary", "count_per_key", "covariance", "estimated_probability_density", "histogram",
        "idf", "max", "mean", "min", "pca",
        "ptransform_analyzer", "quantiles", "scale_by_min_max", "scale_by_min_max_per_key",
        "scale_to_0_1", "scale_to_0_1_per_key",
        "scale_to_gaussian", "scale_to_z_score", "scale_to_z_score_per_key", "size", "sum", "tfidf", "tukey_h_params",
        "tukey_location", "tukey_scale", "var", "vocabulary",
    )
)  # fmt: skip
# As tfx_privacy.training.validation has them; importing that takes TensorFlow (tests compare).
OPTIMIZERS = ("SGD", "Adam", "AdamW", "Adagrad", "RMSprop")
# Layers that learn from data by adapt(), and the argument that gives them constants instead.
_ADAPTED = {
    "Normalization": "mean", "Discretization": "bin_boundaries", "StringLookup": "vocabulary", "IntegerLookup": "vocabulary",
    "TextVectorization": "vocabulary",
}  # fmt: skip
_OTHER_LIBRARIES = {
    "sklearn": "scikit-learn", "flax": "Flax", "jax": "JAX", "torch": "PyTorch", "xgboost": "XGBoost", "lightgbm": "LightGBM",
    "catboost": "CatBoost", "tensorflow_decision_forests": "TensorFlow Decision Forests",
}  # fmt: skip
_ESTIMATORS = (
    "tensorflow.estimator",
    "tensorflow.compat.v1.estimator",
    "tensorflow_estimator",
    "tensorflow.keras.estimator",
)


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """A line, and what is to be known of it.

    Attributes:
      file: Name of the file.
      line: Number of the line; 0 for the file as a whole.
      text: A sentence.
    """

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


def check_kind(module: Module) -> None:
    """Checks that a module trains a Keras model.

    Raises:
      ModelError: If it trains with another library, or with Estimators.
    """
    name = module.path.name
    for node in ast.walk(module.source.tree):
        if isinstance(node, ast.Attribute | ast.Name) and (dotted := module.dotted(node)).startswith(_ESTIMATORS):
            raise ModelError(
                f"{name}:{node.lineno} trains an Estimator ({dotted}), which TensorFlow 2.16 no longer has. DPTrainer "
                "trains Keras models: rewrite the model in Keras first, then migrate."
            )
    keras = any(each.compiles(call) for each in module.project for call in slicing.calls(each.source.tree))
    for origin in sorted(module.imports.values()):
        package = origin.split(".")[0]
        library = _OTHER_LIBRARIES.get(package)
        # Keras models are often measured with scikit-learn; decision forests have compile() without being trained by
        # gradients.
        if library and (not keras or package == "tensorflow_decision_forests"):
            raise ModelError(
                f"{name} imports {origin}: its model is of {library}. DPTrainer trains Keras models, with gradients of "
                "each record; there is nothing to move. Write a Keras model_fn, or keep Trainer, whose model the gate "
                "refuses."
            )


def uncovered(module: Module) -> Iterator[Finding]:
    """What takes something from all records without privacy: analyzers and adapted layers."""
    for call in slicing.calls(module.source.tree):
        dotted, last = module.dotted(call.func), slicing.last(call.func)
        if dotted.startswith("tensorflow_transform.") and last in ANALYZERS:
            yield at(
                module,
                call,
                f"tft.{last} computes from all records; epsilon does not cover it. Use public constants instead.",
            )
        elif last == "adapt":
            yield at(
                module, call,
                "adapt() takes statistics or a vocabulary from data without privacy, and DPTrainer refuses such "
                "layers. Give mean and variance, or the vocabulary, as constants.",
            )  # fmt: skip


def refused(module: Module) -> Iterator[Finding]:
    """What DPTrainer refuses, or does not run."""
    for node in ast.walk(module.source.tree):
        if isinstance(node, ast.Call):
            yield from _refused_call(module, node)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name in ("train_step", "compute_loss"):
                    yield at(
                        module, method, f"{node.name}.{method.name} would not be run: move what it does into the loss.",
                    )  # fmt: skip


def _refused_call(module: Module, call: ast.Call) -> Iterator[Finding]:
    dotted, last = module.dotted(call.func), slicing.last(call.func)
    if "BatchNorm" in last:
        yield at(
            module, call,
            f"{last} mixes the records of a batch, so no record has its own gradient; DPTrainer refuses it unless "
            "it is frozen. Use LayerNormalization, or GroupNormalization after convolutions.",
        )  # fmt: skip
    elif last in _ADAPTED and not call.args and not any(keyword.arg == _ADAPTED[last] for keyword in call.keywords):
        yield at(
            module, call,
            f"{last} without {_ADAPTED[last]} takes it from data by adapt(), without privacy; give it constants. "
            "Where nothing adapts it, remove it.",
        )  # fmt: skip
    elif last == "GradientTape":
        yield at(
            module, call,
            "its own training loop: what it does beyond minimising a loss cannot be decided here. "
            "DPTrainer owns the loop; put the loss into model.compile(optimizer=..., loss=...).",
        )  # fmt: skip
    elif last == "add_loss" or any(keyword.arg == "activity_regularizer" for keyword in call.keywords):
        yield at(module, call, "a loss that depends on the input is refused: put it into the loss of compile().")
    elif last in ("set_global_policy", "set_policy") and "mixed" in ast.dump(call):
        yield at(module, call, "mixed precision is refused: clipping is done in float32.")
    elif (
        # tensorflow-privacy's are read and rewritten: privacy_classes.
        ".optimizers." in dotted
        and not dotted.startswith("tensorflow_privacy.")
        and last[:1].isupper()
        and (last not in OPTIMIZERS or ".legacy." in dotted)
    ):
        if ".schedules." not in dotted:
            yield at(module, call, f"optimizer {last} is refused; allowed are Keras' {', '.join(OPTIMIZERS)}.")
    elif last == "compile":
        for keyword in call.keywords:
            name = module.constant(keyword.value) if keyword.arg == "optimizer" else None
            if isinstance(name, str) and name.lower() not in [allowed.lower() for allowed in OPTIMIZERS]:
                yield at(module, call, f"optimizer {name!r} is refused; allowed are Keras' {', '.join(OPTIMIZERS)}.")


def at(module: Module, node: ast.AST, text: str) -> Finding:
    """What is to be known of a line of a module."""
    return Finding(module.path.name, node.lineno, text)  # type: ignore[attr-defined]
