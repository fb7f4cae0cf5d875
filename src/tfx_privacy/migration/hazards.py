"""Lines of a module that DPTrainer refuses, or that no guarantee covers."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Collection, Iterator

from tfx_privacy.errors import ModelError
from tfx_privacy.migration import analyzers, slicing
from tfx_privacy.migration.module import Module

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


def uncovered(module: Module, rewritten: Collection[int] = ()) -> Iterator[Finding]:
    """What takes something from all records without privacy: analyzers and adapted layers.

    Args:
      module: Of the project.
      rewritten: Identities of expressions that name an analyzer of tft, and no more do so in the proposal.
    """
    for use in analyzers.uses(module):
        if id(use.node) not in rewritten:
            yield at(module, use.node, _analyzes(module, use))
    for call in slicing.calls(module.source.tree):
        if slicing.last(call.func) == "adapt":
            yield at(
                module, call,
                "adapt() takes statistics or a vocabulary from data without privacy, and DPTrainer refuses such "
                "layers. Give mean and variance, or the vocabulary, as constants.",
            )  # fmt: skip


def _analyzes(module: Module, use: analyzers.Use) -> str:
    if not use.name:
        return "tft itself is handed on here: analyzers that are called by it are not seen, and epsilon does not cover them."
    what = f"tft.{use.name} computes from all records; epsilon does not cover it."
    if use.name in analyzers.INSTEAD:
        return f"{what} There is no private one. {analyzers.INSTEAD[use.name]}"
    name = analyzers.PRIVATE[use.name].name
    if use.call is None:
        return (
            f"{what} It is handed on here, not called, so it was not rewritten: take {name} of tfx_privacy.transform."
        )
    return f"{what} {name} of tfx_privacy.transform does: `tfx-privacy migrate {module.path.name}` proposes it."


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
