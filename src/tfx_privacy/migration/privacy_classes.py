"""tensorflow-privacy's classes in a module: their numbers become DPParameters', and the classes Keras' own.

DPTrainer reads the same classes when it runs a module (`training.stated_privacy`), so what cannot be rewritten here still
runs; it is named then.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator

from tfx_privacy.migration import hazards, slicing
from tfx_privacy.migration.draft import Draft
from tfx_privacy.migration.module import Module
from tfx_privacy.migration.source import Edit

_OPTIMIZER = re.compile(r"^(?:Vectorized)?DP(?:Sparse)?Keras(SGD|Adam|Adagrad|RMSprop)Optimizer$")
_MODELS = {"DPSequential": "Sequential", "DPModel": "Model"}
_NUMBERS = ("l2_norm_clip", "noise_multiplier", "num_microbatches")
# Their own arguments by place, before those of Keras' class.
_OF_MODELS = (*_NUMBERS, "use_xla", "layer_registry")
_OF_OPTIMIZERS = (*_NUMBERS, "gradient_accumulation_steps")
_OF_VECTORIZED = (*_NUMBERS, "unconnected_gradients_to_zero")
# Where `tf.keras` may be written, by what a module imports.
_KERAS = {"tensorflow": ".keras", "tensorflow.keras": "", "tf_keras": "", "keras": ""}


@dataclasses.dataclass(frozen=True)
class Use:
    """One call of a class of tensorflow-privacy.

    Attributes:
      module: Where it stands.
      call: The call.
      name: Of the class.
      plain: Of Keras' class, below `keras`.
      own: By name, the arguments that are tensorflow-privacy's own.
      rest: The others.
    """

    module: Module
    call: ast.Call
    name: str
    plain: str
    own: dict[str, ast.expr]
    rest: list[ast.expr | ast.keyword]


def take_over(draft: Draft) -> list[Use]:
    """Rewrites the classes of the module itself, and names what stands elsewhere or cannot be rewritten."""
    found = [use for module in draft.module.project for use in _uses(module)]
    keras = _keras(draft) if any(use.module is draft.module for use in found) else ""
    for use in found:
        if use.module is draft.module:
            _rewrite(draft, use, keras)
        else:
            draft.proposal.questions.append(
                hazards.at(
                    use.module,
                    use.call,
                    f"{use.name} stands in another module, which is not changed: DPTrainer reads clip and noise from it, and "
                    "trains Keras' own class in its place.",
                )
            )
    rewritten = {id(use.call.func) for use in found}
    for module in draft.module.project:
        for node in ast.walk(module.source.tree):
            if isinstance(node, ast.Name | ast.Attribute) and id(node) not in rewritten and _class(module, node):
                draft.proposal.questions.append(
                    hazards.at(
                        module,
                        node,
                        f"{slicing.last(node)} is not called here, so it was not rewritten: DPTrainer reads clip and noise "
                        "from the model that it makes. Or use Keras' own class, and give both in DPParameters.",
                    )
                )
    return found


def parameters(draft: Draft, uses: list[Use]) -> None:
    """Adds the numbers that the classes were given, as arguments of DPParameters, and says what they do not become."""
    stated: dict[str, str] = {}
    for use in uses:
        for name in ("l2_norm_clip", "noise_multiplier"):
            line = _argument(draft, use, name)
            if stated.setdefault(name, line) != line:
                _ask(draft, use, f"another {name} than that of the first class of tensorflow-privacy, which was taken.")
        _microbatches(draft, use)
        if "gradient_accumulation_steps" in use.own and _number(use, "gradient_accumulation_steps") != 1:
            _ask(draft, use, "gradient_accumulation_steps: set expected_batch_size to the whole batch instead.")
    draft.proposal.privacy += stated.values()
    draft.proposal.states_noise = "noise_multiplier" in stated


def _argument(draft: Draft, use: Use, name: str) -> str:
    value = use.own.get(name)
    number = None if value is None else use.module.constant(value)
    known = isinstance(number, int | float) and not isinstance(number, bool)
    shown = "not given" if value is None else f"{draft.say(value)} of {use.name}"
    return f"{name}={number if known else '...'},  # {shown}"


def _microbatches(draft: Draft, use: Use) -> None:
    value = use.own.get("num_microbatches")
    if value is None or (isinstance(value, ast.Constant) and value.value is None):
        return
    number = _number(use, "num_microbatches")
    if number is None or number != draft.batch_size:
        whole = " (one, of the whole batch)" if number == 1 else ""
        _ask(
            draft,
            use,
            f"num_microbatches={draft.say(value)}{whole}: several records were clipped as one. DPTrainer clips each record, so "
            "the same noise promises more of one record; the clip may want to be another.",
        )


def _number(use: Use, name: str) -> int | float | None:
    value = use.own.get(name)
    number = None if value is None else use.module.constant(value)
    return number if isinstance(number, int | float) and not isinstance(number, bool) else None


def _ask(draft: Draft, use: Use, text: str) -> None:
    draft.proposal.questions.append(hazards.at(use.module, use.call, f"{use.name}: {text}"))


def _class(module: Module, node: ast.AST) -> str:
    """Name of the class of tensorflow-privacy that an expression stands for; empty otherwise."""
    name = module.dotted(node)
    last = name.rpartition(".")[2]
    is_one = name.startswith("tensorflow_privacy.") and (last in _MODELS or _OPTIMIZER.match(last))
    return last if is_one else ""


def _uses(module: Module) -> Iterator[Use]:
    for call in slicing.calls(module.source.tree):
        name = _class(module, call.func)
        if not name:
            continue
        optimizer = _OPTIMIZER.match(name)
        places = _OF_MODELS if optimizer is None else _OF_VECTORIZED if "Vectorized" in name else _OF_OPTIMIZERS
        given = dict(zip(places, call.args, strict=False))
        given.update({keyword.arg: keyword.value for keyword in call.keywords if keyword.arg and keyword.arg in places})
        rest: list[ast.expr | ast.keyword] = list(call.args[len(places) :])
        rest += [keyword for keyword in call.keywords if keyword.arg not in places]
        plain = _MODELS[name] if optimizer is None else f"optimizers.{optimizer[1]}"
        yield Use(module, call, name, plain, given, rest)


def _rewrite(draft: Draft, use: Use, keras: str) -> None:
    starred = any(isinstance(part, ast.Starred) for part in use.call.args)
    if starred or any(isinstance(part, ast.keyword) and part.arg is None for part in use.rest):
        _ask(draft, use, "its arguments are not written out, so it was left: DPTrainer reads clip and noise from it.")
        return
    rest = ", ".join(_written(use, part) for part in use.rest)
    draft.edits.append(Edit(*use.module.source.span(use.call), f"{keras}.{use.plain}({rest})"))
    draft.decide(use.call, f"{use.name} is Keras' {use.plain} now; its clip and noise are arguments of DPParameters")
    if any(isinstance(part, ast.keyword) and part.arg == "decay" for part in use.rest):
        _ask(draft, use, "decay is of Keras' earlier optimizers alone: use a schedule, e.g. InverseTimeDecay.")


def _written(use: Use, part: ast.expr | ast.keyword) -> str:
    """An argument as Keras takes it: of `lr`, which its earlier optimizers took, it warns and goes on without."""
    if isinstance(part, ast.keyword) and part.arg == "lr":
        return f"learning_rate={use.module.source.of(part.value)}"
    return use.module.source.of(part)


def _keras(draft: Draft) -> str:
    """How Keras is written in the module."""
    for name, origin in draft.module.imports.items():
        if origin in _KERAS:
            return f"{name}{_KERAS[origin]}"
    name = draft.free_name("tf")
    draft.extra_functions.append(f"import tensorflow as {name}")
    return f"{name}.keras"
