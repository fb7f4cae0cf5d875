"""What fit() was told, as arguments of DPParameters, and what becomes of its callbacks."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tfx_privacy.migration import slicing
from tfx_privacy.migration.draft import Draft
from tfx_privacy.migration.module import Module
from tfx_privacy.migration.run_fn import bound, keyword

# Callbacks of Keras, and what becomes of what they do.
_CALLBACKS = {
    "TensorBoard": (
        "DPTrainer writes epsilon and the update's norm to model_run; losses and histograms of private batches are "
        "lost, because they would be released without noise."
    ),
    "EarlyStopping": (
        "refused: when to stop would follow from records, and epsilon does not cover that. Set steps or epochs "
        "beforehand."
    ),
    "ReduceLROnPlateau": (
        "refused: the learning rate would follow from records, and epsilon does not cover that. Use a schedule."
    ),
    "ModelCheckpoint": (
        "DPTrainer keeps no best model, whose choice would follow from records; checkpoint_dir resumes a killed run."
    ),
    "BackupAndRestore": "DPTrainer(checkpoint_dir=...) resumes a killed run.",
    "LearningRateScheduler": "not run: give the optimizer a tf.keras.optimizers.schedules.LearningRateSchedule.",
    "LambdaCallback": "not run: whatever it writes of the batches would be released without noise.",
}  # fmt: skip
# Where TensorFlow's and TFX's own functions take it without a name.
_BATCH_SIZE_POSITIONS = {
    "batch": 0, "TensorFlowDatasetOptions": 0, "RecordBatchesOptions": 0,
    "make_batched_features_dataset": 1, "make_csv_dataset": 1,
}  # fmt: skip
_UNUSED_ARGUMENTS = {
    "class_weight": "weights by class are not taken over: put them into the loss.",
    "sample_weight": "weights by record are not taken over: see docs/existing_pipelines.md.",
    "validation_split": (
        "a share of the training data is held out; DPTrainer trains on all of it. Use a split of ExampleGen."
    ),
    "initial_epoch": "DPTrainer begins at the first step.",
}


def training_arguments(draft: Draft) -> None:
    """Adds what is known of batch size and length of training, and says what of fit() is not done."""
    fit = draft.fit
    if fit is None:
        return
    draft.used |= {
        id(statement) for statement in draft.run_fn.statements if any(call is fit for call in slicing.calls(statement))
    }
    if len(draft.run_fn.fits) > 1:
        for other in draft.run_fn.fits[1:]:
            draft.ask(
                other,
                "fit() is called more than once; DPTrainer trains once. What follows the first call was left out.",
            )
    for other in draft.run_fn.other_fits:
        draft.ask(other, f"{draft.say(other.func)}() learns from data outside the model: epsilon does not cover it.")
    epochs, steps = keyword(fit, "epochs"), keyword(fit, "steps_per_epoch")
    _batch_size(draft, fit)
    times = draft.number(epochs) if epochs is not None else 1
    if steps is None:
        draft.proposal.privacy.append(_epochs(draft, times))
    elif draft.run_fn.uses(steps, ("train_steps",)):
        factor = "" if times == 1 else f" times {draft.say(epochs)}"
        draft.proposal.privacy.append(
            f"steps=...,  # the pipeline's TrainArgs.num_steps{factor}; num_steps itself goes"
        )
    else:
        count, shown = draft.number(steps), draft.say(steps)
        total = count * times if isinstance(count, int) and isinstance(times, int) else "..."
        draft.proposal.privacy.append(f"steps={total},  # steps_per_epoch={shown}, epochs={draft.say(epochs)}")
    for name, text in _UNUSED_ARGUMENTS.items():
        if (value := keyword(fit, name)) is not None:
            draft.ask(value, f"fit({name}=...): {text}")
    _callbacks(draft, keyword(fit, "callbacks"))


def _epochs(draft: Draft, times: int | None) -> str:
    """How often each record was read: by fit(), and by a reader that repeats the records itself."""
    shown, total = ["as fit() has it"], times
    for expression, module in draft.passes:
        number = module.constant(expression)
        if isinstance(expression, ast.Constant) and expression.value is None:
            continue  # for ever: fit() ends it
        known = isinstance(number, int) and not isinstance(number, bool) and number > 0
        if known and number == 1:
            continue
        total = total * number if known and total is not None else None
        written = draft.say(expression)
        value = f" (={number})" if known and written != str(number) else ""
        shown.append(f"times {written}{value} passes of the reader")
    return f"epochs={total if total is not None else '...'},  # {', '.join(shown)}"


def _batch_size(draft: Draft, fit: ast.Call) -> None:
    size = keyword(fit, "batch_size") or _read_size(draft, fit)
    number = draft.number(size) if size is not None else None
    draft.batch_size = number
    shown = "..." if number is None else str(number)
    origin = "not found" if size is None else f"{draft.say(size)} in run_fn"
    draft.proposal.privacy.append(
        f"expected_batch_size={shown},  # {origin}; larger batches bear the noise better (docs/planning.md)"
    )


def _read_size(draft: Draft, fit: ast.Call) -> ast.expr | None:
    """The batch size that the training data are read with."""
    examples = keyword(fit, "x", 0)
    if examples is None:
        return None
    statements = draft.run_fn.statements[: draft.run_fn.boundary]
    body = slicing.backward(statements, slicing.loads(examples), given=[draft.run_fn.argument], skip=slicing.is_call)
    for call in (call for part in [*body, examples] for call in slicing.calls(part)):
        helper = draft.module.function(call.func)
        arguments = bound(helper[1], call) if helper else {}
        arguments.update({given.arg: given.value for given in call.keywords if given.arg})
        sizes = [value for name, value in arguments.items() if "batch_size" in name]
        position = _BATCH_SIZE_POSITIONS.get(slicing.last(call.func), len(call.args))
        sizes += call.args[position : position + 1]
        if not sizes and helper:
            sizes += _written_sizes(helper[0], helper[1], arguments)
        if sizes:
            return sizes[0]
    return None


def _written_sizes(module: Module, reader: ast.FunctionDef, given: dict[str, ast.expr]) -> Iterator[ast.expr]:
    """Batch sizes of a reader's own calls: numbers, or what the reader was given by another name."""
    for call in slicing.calls(reader):
        position = _BATCH_SIZE_POSITIONS.get(slicing.last(call.func), len(call.args))
        found = [
            *call.args[position : position + 1],
            *(given.value for given in call.keywords if given.arg == "batch_size"),
        ]
        for size in found:
            if isinstance(size, ast.Name) and size.id in given:
                yield given[size.id]
            elif isinstance(number := module.constant(size), int) and not isinstance(number, bool):
                yield ast.Constant(number)


def _callbacks(draft: Draft, callbacks: ast.expr | None) -> None:
    if callbacks is None or (isinstance(callbacks, ast.Constant) and callbacks.value is None):
        return
    statements = draft.run_fn.statements[: draft.run_fn.boundary]
    made = slicing.backward(statements, slicing.loads(callbacks), given=[draft.run_fn.argument])
    draft.used |= set(map(id, made))
    found = []
    for part in [*made, callbacks]:
        for call in slicing.calls(part):
            name = slicing.last(call.func)
            if name in _CALLBACKS:
                found.append(name)
                draft.leave_out(call, f"{name}: {_CALLBACKS[name]}")
    number = len(callbacks.elts) if isinstance(callbacks, ast.List | ast.Tuple) else None
    if number is None or number > len(found):
        draft.ask(
            callbacks,
            "its own callbacks: DPTrainer runs none. What they write of batches or losses would be released without "
            "noise.",
        )
