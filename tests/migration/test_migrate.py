"""The proposals for modules as people have them: those inside the installed tfx, and small ones for each rule."""

from __future__ import annotations

import ast
import pathlib
import textwrap

import pytest
from click.testing import CliRunner, Result

from tfx_privacy.cli import cli
from tfx_privacy.errors import ModelError, ParameterError
from tfx_privacy.migration import analyzers, hazards
from tfx_privacy.migration import module as modules
from tfx_privacy.migration.notes import Proposal
from tfx_privacy.migration.proposal import propose

SITE_PACKAGES = pathlib.Path(pytest.__file__).resolve().parent.parent
TFX = SITE_PACKAGES / "tfx"
OTHER_LIBRARIES = {
    "penguin_utils_sklearn.py",
    "penguin_utils_tfdf_experimental.py",
    "penguin_utils_flax_experimental.py",
}
FOLDERS = ("examples", "experimental/templates", "components/testdata")
SHIPPED = sorted(
    path
    for folder in FOLDERS
    for path in (TFX / folder).rglob("*.py")
    if "\ndef run_fn(" in path.read_text() and path.name not in OTHER_LIBRARIES
)

MODULE = '''
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio

_LABEL_KEY = 'tips'


def _input_fn(file_pattern, data_accessor, graph, batch_size=200):
  return data_accessor.tf_dataset_factory(
      file_pattern, tfxio.TensorFlowDatasetOptions(batch_size=batch_size, label_key=_LABEL_KEY),
      graph.transformed_metadata.schema).repeat()


def _build(units):
  model = tf.keras.Sequential([tf.keras.layers.Dense(units)])
  model.compile('adam', 'mse')
  return model


def run_fn(fn_args):
  """Trains."""
  graph = tft.TFTransformOutput(fn_args.transform_output)
  train = _input_fn(fn_args.train_files, fn_args.data_accessor, graph, 64)  # the data
  evaluation = _input_fn(fn_args.eval_files, fn_args.data_accessor, graph, 64)
  units = 8
  #BEFORE
  model = _build(units)
  #AFTER
  model.fit(train, validation_data=evaluation, FIT)
  #END
  tf.saved_model.save(model, fn_args.serving_model_dir, signatures={'a': tf.function(model)})
'''


def made(tmp_path: pathlib.Path, text: str = MODULE, fit: str = "steps_per_epoch=100", **parts: str) -> Proposal:
    for name in ("before", "after", "end"):
        text = text.replace(f"#{name.upper()}", parts.get(name, f"# {name}"))
    return propose(written(tmp_path, text.replace("FIT", fit)))


def written(tmp_path: pathlib.Path, text: str) -> modules.Module:
    path = tmp_path / "trainer.py"
    path.write_text(textwrap.dedent(text))
    return modules.read(path)


def body(proposal: Proposal, name: str) -> str:
    """A function of the proposal, as text."""
    found = [node for node in ast.parse(proposal.text).body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert len(found) == 1, name
    return ast.unparse(found[0])


def says(proposal: Proposal, *words: str) -> bool:
    notes = [*proposal.questions, *proposal.left_out, *proposal.uncovered]
    # AT x is the line of the module that has x in it.
    lines = proposal.module.source.text.split("\n")
    wanted = [
        f"trainer.py:{next(number for number, line in enumerate(lines, 1) if word[3:] in line)}: "
        if word[:3] == "AT "
        else word
        for word in words
    ]
    return any(all(word in str(note) for word in wanted) for note in notes)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["migrate", *map(str, arguments)])


def test_all_of_tfxs_modules_are_looked_at() -> None:
    assert len(SHIPPED) >= 14


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_module_of_tfx_itself_gets_a_proposal_that_compiles(path: pathlib.Path) -> None:
    proposal = propose(modules.read(path))
    tree = ast.parse(proposal.text)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {"model_fn", "input_fn", "signatures_fn"} <= set(functions)
    assert "run_fn" not in functions
    assert [len(functions[name].args.args) for name in ("model_fn", "input_fn", "signatures_fn")] == [1, 2, 2]
    text = "\n".join(ast.unparse(functions[name]) for name in ("model_fn", "input_fn", "signatures_fn"))
    for word in (".fit(", "train_files", "eval_files", ".repeat(", "callbacks", "Strategy()", "NotImplementedError"):
        assert word not in text or (word == "Strategy()" and "templates" in str(path))
    # Every comment and blank line outside run_fn is where it was.
    kept = [line for line in proposal.module.source.text.split("\n") if line.startswith("#")]
    ours = ("# The label", "# Fill in", '# "private" in its place')
    assert [line for line in proposal.text.split("\n") if line.startswith("#") and not line.startswith(ours)] == kept


@pytest.mark.parametrize("name", sorted(OTHER_LIBRARIES))
def test_a_model_of_another_library_is_refused(name: str) -> None:
    (path,) = TFX.rglob(name)
    result = run(path)
    assert isinstance(result.exception, ModelError)
    assert "its model is of" in str(result.exception)


def test_each_line_goes_where_it_is_needed(tmp_path: pathlib.Path) -> None:
    proposal = made(tmp_path)
    assert body(proposal, "model_fn").split("\n")[1:] == [
        "    \"\"\"Builds and compiles the model.\"\"\"", "    units = 8", "    model = _build(units)", "    return model",
    ]  # fmt: skip
    assert "train = _input_fn(file_pattern, fn_args.data_accessor, graph, 64)\n    return train" in body(
        proposal, "input_fn"
    )
    assert "graph = tft.TFTransformOutput(fn_args.transform_output)" in body(proposal, "input_fn")
    assert "units" not in body(proposal, "input_fn") + body(proposal, "signatures_fn")
    assert "return {'a': tf.function(model)}" in body(proposal, "signatures_fn")
    assert "  train = _input_fn(file_pattern, fn_args.data_accessor, graph, 64)  # the data\n" in proposal.text
    assert not proposal.questions
    assert "LABEL_KEY = _LABEL_KEY\n" in proposal.text
    assert proposal.privacy[0].startswith("expected_batch_size=64,")
    assert proposal.privacy[1].startswith("steps=100,")


def test_records_are_read_once(tmp_path: pathlib.Path) -> None:
    reader = body(made(tmp_path), "_input_fn")
    assert "TensorFlowDatasetOptions(batch_size=batch_size, num_epochs=1, label_key=_LABEL_KEY)" in reader
    assert "repeat" not in reader


def test_a_reader_that_others_use_is_copied_rather_than_changed(tmp_path: pathlib.Path) -> None:
    text = MODULE + "\n\ndef tuner_fn(fn_args):\n  return _input_fn(fn_args.train_files, fn_args.data_accessor, None)\n"
    proposal = made(tmp_path, text)
    assert "repeat" in body(proposal, "_input_fn")
    assert "repeat" not in body(proposal, "_input_fn_once")
    assert "_input_fn_once(file_pattern" in body(proposal, "input_fn")


def test_a_reader_of_another_module_is_copied_with_its_names_qualified(tmp_path: pathlib.Path) -> None:
    reader, rest = MODULE.split("\n\n\ndef _build")
    (tmp_path / "reader.py").write_text(reader)
    text = "import tensorflow as tf\nimport tensorflow_transform as tft\nimport reader\n\n\ndef _build" + rest
    proposal = made(tmp_path, text.replace("_input_fn(", "reader._input_fn("))
    copy = body(proposal, "_input_fn_once")
    assert "reader.tfxio.TensorFlowDatasetOptions" in copy
    assert "label_key=reader._LABEL_KEY" in copy
    assert "data_accessor.tf_dataset_factory(file_pattern" in copy
    assert "LABEL_KEY = reader._LABEL_KEY\n" in proposal.text


def test_functions_that_have_the_names_of_ours_get_others(tmp_path: pathlib.Path) -> None:
    proposal = made(tmp_path, MODULE.replace("_input_fn", "input_fn"))
    assert "train = _input_fn(file_pattern" in body(proposal, "input_fn")
    assert "repeat" not in body(proposal, "_input_fn")


@pytest.mark.parametrize(
    ("fit", "privacy"),
    [
        ("epochs=5", "epochs=5,"),
        ("epochs=3, steps_per_epoch=20", "steps=60,"),
        ("steps_per_epoch=fn_args.train_steps, epochs=2", "steps=...,  # the pipeline's TrainArgs.num_steps times 2;"),
        ("epochs=unknown()", "epochs=...,"),
    ],
)
def test_the_length_of_training_becomes_parameters(tmp_path: pathlib.Path, fit: str, privacy: str) -> None:
    assert made(tmp_path, fit=fit).privacy[1].startswith(privacy)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"fit": "callbacks=[tf.keras.callbacks.EarlyStopping()]"}, ("EarlyStopping: refused", "AT model.fit")),
        ({"fit": "callbacks=[tf.keras.callbacks.TensorBoard('x')]"}, ("TensorBoard", "losses and histograms")),
        ({"fit": "callbacks=[Mine()]"}, ("its own callbacks",)),
        ({"fit": "class_weight={0: 1.0}"}, ("weights by class",)),
        ({"after": "model.layers[0].adapt(train)"}, ("adapt()", "without privacy")),
        ({"after": "model.add(tf.keras.layers.BatchNormalization())"}, ("BatchNormalization", "GroupNormalization")),
        ({"after": "model.compile(tf.keras.optimizers.Ftrl(), 'mse')"}, ("optimizer Ftrl is refused",)),
        ({"after": "model.compile(optimizer='nadam', loss='mse')"}, ("optimizer 'nadam' is refused",)),
        ({"after": "model.add(tf.keras.layers.Normalization())"}, ("Normalization without mean",)),
        ({"after": "model.add_loss(1.0)"}, ("depends on the input",)),
        ({"before": "units = fn_args.hyperparameters['units']"}, ("from a Tuner", "AT fn_args.hyperparameters")),
        ({"after": "model.load_weights(fn_args.base_model)"}, ("base_model", "public data")),
        ({"before": "units = int(next(iter(train))[0].shape[1])"}, ("model_fn uses train",)),
        ({"before": "units = fn_args.train_steps"}, ("fn_args.train_steps is None",)),
        ({"before": "units = count(fn_args.train_files)"}, ("reads the examples itself",)),
        ({"end": "model.fit(evaluation)"}, ("more than once",)),
        ({"end": "publish(fn_args.custom_config)"}, ("nothing that was moved needs it: publish",)),
    ],
)  # fmt: skip
def test_what_cannot_be_decided_is_named_with_its_line(
    tmp_path: pathlib.Path, parts: dict[str, str], words: tuple[str, ...]
) -> None:
    assert says(made(tmp_path, **parts), *words)


def test_adapting_on_private_data_is_not_moved(tmp_path: pathlib.Path) -> None:
    assert "adapt" not in body(made(tmp_path, after="model.layers[0].adapt(train)"), "model_fn")


def test_what_changes_the_model_before_training_is_moved(tmp_path: pathlib.Path) -> None:
    proposal = made(tmp_path, after="model.layers[0].trainable = False\n  model.load_weights('public')")
    assert "model.layers[0].trainable = False\n    model.load_weights('public')\n    return model" in body(
        proposal, "model_fn"
    )


def test_a_training_loop_of_its_own_is_not_guessed_at(tmp_path: pathlib.Path) -> None:
    loop = "for batch in train:\n    with tf.GradientTape() as tape:\n      step(model, tape)"
    proposal = propose(written(tmp_path, MODULE.replace("model.fit(train, validation_data=evaluation, FIT)", loop)))
    assert says(proposal, "its own training loop", "AT GradientTape")
    assert says(proposal, "input_fn was not proposed")
    assert "return model" in body(proposal, "model_fn")


@pytest.mark.parametrize(
    "loop", ["for _ in range(3):\n    model.fit(train)", "if fn_args.train_steps:\n    model.fit(train)"]
)
def test_fit_inside_a_loop_or_a_condition_is_not_guessed_at(tmp_path: pathlib.Path, loop: str) -> None:
    proposal = propose(written(tmp_path, MODULE.replace("model.fit(train, validation_data=evaluation, FIT)", loop)))
    assert "NotImplementedError" in body(proposal, "model_fn")
    assert says(proposal, "inside a loop or a condition")
    assert "#   model = _build(units)" in proposal.text


def test_training_in_another_function_is_not_guessed_at(tmp_path: pathlib.Path) -> None:
    proposal = propose(written(tmp_path, "def run_fn(fn_args):\n    train_and_save(fn_args)\n"))
    assert "NotImplementedError" in body(proposal, "model_fn")
    assert says(proposal, "model_fn was not decided")


def test_the_label_is_asked_for_where_the_modules_own_constant_is_another(tmp_path: pathlib.Path) -> None:
    proposal = made(
        tmp_path,
        MODULE.replace("label_key=_LABEL_KEY", "label_key=_LABEL_KEY + '_xf'").replace("_LABEL_KEY", "LABEL_KEY"),
    )
    assert says(proposal, "DPTrainer would take the module's own LABEL_KEY")
    assert proposal.arguments == ["label_key=...,  # LABEL_KEY + '_xf'"]
    assert proposal.text.count("LABEL_KEY =") == 1


def test_text_is_cut_by_characters_and_strings_keep_their_lines(tmp_path: pathlib.Path) -> None:
    text = '''
    import tensorflow as tf

    def run_fn(fn_args):
        with tf.distribute.MirroredStrategy().scope():
            name = """Größe
                über alles"""; ä = 1  # ü
            model = make(name, "ö", ä)
            model.compile('adam', 'mse')
        model.fit(data(fn_args.train_files).batch(32, drop_remainder=True).repeat(2), epochs=1)
    '''
    proposal = propose(written(tmp_path, text))
    assert '        name = """Größe' not in proposal.text
    assert 'name = """Größe\n            über alles"""\n' in proposal.text
    assert "return data(file_pattern).batch(32, drop_remainder=False)" in body(proposal, "input_fn")


def test_tft_analyzers_are_known_by_tfts_own_source() -> None:
    defined = {
        node.name
        for file in ("analyzers.py", "experimental/analyzers.py")
        for node in ast.parse((SITE_PACKAGES / "tensorflow_transform" / file).read_text()).body
        if isinstance(node, ast.FunctionDef) and "ANALYZER_COLLECTION" in "".join(map(ast.unparse, node.decorator_list))
    }
    assert len(defined) > 15
    mappers = ast.parse((SITE_PACKAGES / "tensorflow_transform" / "mappers.py").read_text())
    functions = {node.name: node for node in mappers.body if isinstance(node, ast.FunctionDef)}

    def analyzes(node: ast.FunctionDef, seen: frozenset[str] = frozenset()) -> bool:
        called = {ast.unparse(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)} - seen
        return any(
            name in {f"analyzers.{each}" for each in defined | {"_mean_and_var"}}
            or (name in functions and analyzes(functions[name], seen | called))
            for name in called
        )

    public = {
        name
        for name, node in functions.items()
        if "MAPPER_COLLECTION" in "".join(map(ast.unparse, node.decorator_list))
    }
    found = {name for name in public if analyzes(functions[name])}
    assert {"scale_to_z_score", "bucketize", "compute_and_apply_vocabulary"} <= found
    assert defined | found <= analyzers.ANALYZERS


def test_the_optimizers_are_those_that_training_allows() -> None:
    source = ast.parse((pathlib.Path(hazards.__file__).parent.parent / "training" / "validation.py").read_text())
    (value,) = (
        node.value for node in source.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_OPTIMIZERS"
    )  # fmt: skip
    assert ast.literal_eval(value) == hazards.OPTIMIZERS


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("def run_fn(fn_args:\n", ParameterError, "cannot be parsed"),
        ("\0", ParameterError, "cannot be parsed"),
        ("x = 1\n", ParameterError, "no function run_fn"),
        ("from other import run_fn\n", ParameterError, "imports it from 'other'"),
        ("def model_fn(fn_args): ...\n", ParameterError, "already has a model_fn"),
        ("def run_fn(fn_args): ...\ndef model_fn(fn_args): ...\n", ParameterError, "already has a model_fn"),
        ("def run_fn(fn_args, schema): ...\n", ParameterError, "expected run_fn to take one argument"),
        ("def trainer_fn(params, schema): ...\n", ModelError, "Estimator"),
        ("import tensorflow as tf\ndef run_fn(fn_args):\n  tf.estimator.train_and_evaluate()\n", ModelError, "Estimator"),
    ],
)  # fmt: skip
def test_bad_input_is_an_error_of_one_line(
    tmp_path: pathlib.Path, text: str, error: type[Exception], message: str
) -> None:
    path = tmp_path / "trainer.py"
    path.write_text(text)
    result = run(path)
    assert type(result.exception) is error
    assert message in str(result.exception)


@pytest.mark.parametrize("name", ["missing.py", "", "notes.txt"])
def test_what_is_no_python_file_is_an_error(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / "notes.txt").touch()
    assert isinstance(run(tmp_path / name).exception, ParameterError)


def test_no_file_is_written_over(tmp_path: pathlib.Path) -> None:
    source, new = written(tmp_path, MODULE.replace("FIT", "epochs=1")).path, tmp_path / "new.py"
    before = source.read_text()
    for taken in (source, tmp_path):
        assert "exists already" in str(run(source, "--output", taken).exception)
    assert run(source, "--output", new).exit_code == 0
    assert "def model_fn" in new.read_text()
    assert isinstance(run(source, "--output", new).exception, ParameterError)
    assert isinstance(run(source, "--output", tmp_path / "no" / "folder.py").exception, ParameterError)
    assert source.read_text() == before


def test_the_module_is_not_executed(tmp_path: pathlib.Path) -> None:
    source = written(tmp_path, "raise SystemExit('executed')\n" + MODULE.replace("FIT", "epochs=1")).path
    assert run(source).exit_code == 0


def test_the_diff_is_that_of_the_proposal(tmp_path: pathlib.Path) -> None:
    module = written(tmp_path, MODULE.replace("FIT", "epochs=1"))
    result = run(module.path, "--diff")
    assert result.exit_code == 0
    assert "-def run_fn(fn_args):" in result.output
    assert "+def model_fn(fn_args):" in result.output


def test_a_regular_expression_is_no_compiled_model(tmp_path: pathlib.Path) -> None:
    text = MODULE.replace("model.compile('adam', 'mse')", "re.compile('x')").replace(
        "import tensorflow as tf\n", "import re\nimport tensorflow as tf\n"
    )
    assert says(made(tmp_path, text), "no compile() was seen")


@pytest.mark.parametrize("save", ["", "model.save(fn_args.serving_model_dir)"])
def test_without_signatures_dptrainers_own_are_left(tmp_path: pathlib.Path, save: str) -> None:
    text = MODULE.replace(
        "tf.saved_model.save(model, fn_args.serving_model_dir, signatures={'a': tf.function(model)})", save
    )
    proposal = made(tmp_path, text)
    assert "def signatures_fn" not in proposal.text
    assert says(proposal, "no call that saves the model") == (not save)


def test_scikit_learn_beside_a_keras_model_is_no_other_library(tmp_path: pathlib.Path) -> None:
    assert body(made(tmp_path, "from sklearn import metrics\n" + MODULE), "model_fn")


@pytest.mark.parametrize(
    "reader",
    [
        "tf.data.experimental.make_batched_features_dataset(fn_args.train_files, 48, {}, drop_final_batch=True)",
        "tf.data.TFRecordDataset(fn_args.train_files).batch(48, drop_remainder=True)",
        "fn_args.data_accessor.tf_dataset_factory(fn_args.train_files, tfxio.TensorFlowDatasetOptions(48), None)",
        "fn_args.data_accessor.tf_dataset_factory(fn_args.train_files, tfxio.TensorFlowDatasetOptions(batch_size=48), "
        "None).repeat()",
    ],
)
def test_a_reader_inside_run_fn_is_found(tmp_path: pathlib.Path, reader: str) -> None:
    proposal = made(
        tmp_path,
        MODULE.replace("_input_fn(fn_args.train_files, fn_args.data_accessor, graph, 64)", reader),
        "callbacks=None",
    )
    assert proposal.privacy[0].startswith("expected_batch_size=48,")
    text = body(proposal, "input_fn")
    assert "file_pattern" in text
    assert "repeat" not in text
    assert "True" not in text
    assert ("num_epochs=1" in text) == ("TFRecordDataset" not in text)
    assert not proposal.questions


def test_repeat_of_a_tensor_stays(tmp_path: pathlib.Path) -> None:
    text = MODULE.replace(".repeat()", ".map(lambda x, y: (x, tf.repeat(y, 2)))")
    assert "tf.repeat(y, 2)" in body(made(tmp_path, text), "_input_fn")


def test_what_is_fitted_beside_the_model_is_not_taken_for_it(tmp_path: pathlib.Path) -> None:
    proposal = made(tmp_path, before="scaler.fit(train)")
    assert "model = _build(units)\n    return model" in body(proposal, "model_fn")
    assert says(proposal, "scaler.fit() learns from data outside the model", "AT scaler.fit")
