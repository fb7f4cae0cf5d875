"""tft's analyzers in proposals: which calls become private ones, what is left to fill in, and what is refused and why."""

from __future__ import annotations

import ast
import pathlib
import textwrap

import pytest
from click.testing import CliRunner

import tfx_privacy
from tfx_privacy.cli import cli
from tfx_privacy.errors import ModelError, ParameterError
from tfx_privacy.migration import analyzers, report
from tfx_privacy.migration import module as modules
from tfx_privacy.migration.notes import Proposal
from tfx_privacy.migration.proposal import propose

SITE_PACKAGES = pathlib.Path(pytest.__file__).resolve().parent.parent
TFT = SITE_PACKAGES / "tensorflow_transform"
OURS = pathlib.Path(tfx_privacy.__file__).parent / "transform"
TAXI = SITE_PACKAGES / "tfx" / "examples" / "chicago_taxi_pipeline" / "taxi_utils.py"

HEAD = "import tensorflow as tf\nimport tensorflow_transform as tft\n"


def proposed(folder: pathlib.Path, body: str, head: str = HEAD, **files: str) -> Proposal:
    """The proposal for a preprocessing_fn with this body, with other modules beside it."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    path = folder / "prep.py"
    function = f"def preprocessing_fn(inputs):\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"
    path.write_text(f"{head}\n\n{function}")
    return propose(modules.read(path))


def one(folder: pathlib.Path, call: str) -> str:
    """What becomes of one call."""
    tree = ast.parse(proposed(folder, f"return {{'y': {call}}}").text)
    (made,) = (node.value for node in ast.walk(tree) if isinstance(node, ast.Return))
    assert isinstance(made, ast.Dict)
    return ast.unparse(made.values[0])


def said(proposal: Proposal) -> str:
    return "\n".join(map(str, proposal.questions))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("scale_to_z_score(inputs['x'])", "scale_to_z_score(inputs['x'], bounds=None)"),
        ("scale_to_z_score(inputs['x'], True)", "scale_to_z_score(inputs['x'], True, bounds=None)"),
        (
            "scale_to_z_score(inputs['x'], False, 'n', tf.float64)",
            "scale_to_z_score(inputs['x'], False, name='n', output_dtype=tf.float64, bounds=None)",
        ),
        (
            "scale_by_min_max(inputs['x'], -1.0, 1.0, True, 'n')",
            "scale_by_min_max(inputs['x'], -1.0, 1.0, True, name='n', bounds=None)",
        ),
        ("scale_to_0_1(x=inputs['x'])", "scale_to_0_1(x=inputs['x'], bounds=None)"),
        ("mean(inputs['x'], False)", "mean(inputs['x'], reduce_instance_dims=False, bounds=None)"),
        (
            "mean(inputs['x'], reduce_instance_dims)",
            "mean(inputs['x'], reduce_instance_dims=reduce_instance_dims, bounds=None)",
        ),
        ("var(inputs['x'], name='v')", "var(inputs['x'], name='v', bounds=None)"),
        ("min(inputs['x'], True)", "min(inputs['x'], bounds=None)"),
        ("max(inputs['x'], True, 'n')", "max(inputs['x'], name='n', bounds=None)"),
        ("bucketize(inputs['x'], 10, 0.01, None)", "bucketize(inputs['x'], 10, 0.01, bounds=None)"),
        (
            "bucketize(inputs['x'], num_buckets=10, weights=None, elementwise=True)",
            "bucketize(inputs['x'], num_buckets=10, elementwise=True, bounds=None)",
        ),
        (
            "quantiles(inputs['x'], 4, 0.01, None, False)",
            "quantiles(inputs['x'], 4, 0.01, reduce_instance_dims=False, bounds=None)",
        ),
        ("vocabulary(inputs['x'], top_k=5)", "vocabulary(inputs['x'], top_k=5)"),
        (
            "compute_and_apply_vocabulary(weights=None, x=inputs['x'], default_value=-2, num_oov_buckets=1)",
            "compute_and_apply_vocabulary(x=inputs['x'], default_value=-2, num_oov_buckets=1)",
        ),
        ("experimental.approximate_vocabulary(inputs['x'], 9)", "vocabulary(inputs['x'], top_k=9)"),
        (
            "experimental.compute_and_apply_approximate_vocabulary(inputs['x'], top_k=9)",
            "compute_and_apply_vocabulary(inputs['x'], top_k=9)",
        ),
        ("count_per_key(inputs['x'])", "count_per_key(inputs['x'], keys=None)"),
        ("histogram(inputs['x'])", "histogram(inputs['x'], bounds=None)"),
        ("histogram(inputs['x'], 7)", "histogram(inputs['x'], 7, bounds=None)"),
        ("histogram(inputs['x'], [0, 1, 2])", "histogram(inputs['x'], [0, 1, 2])"),
        ("histogram(inputs['x'], categorical=True)", "histogram(inputs['x'], categorical=True, keys=None)"),
    ],
)
def test_a_call_becomes_a_private_one(tmp_path: pathlib.Path, call: str, expected: str) -> None:
    assert one(tmp_path, f"tft.{call}") == f"dpt.{expected}"


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("compute_and_apply_vocabulary(inputs['x'], weights=inputs['w'])", "there is no weights with noise"),
        ("vocabulary(inputs['x'], labels=inputs['y'])", "there is no labels with noise"),
        ("vocabulary(inputs['x'], store_frequency=True)", "there is no store_frequency with noise"),
        ("bucketize(inputs['x'], 10, None, inputs['w'])", "there is no weights with noise"),
        ("min(inputs['x'], reduce_instance_dims=False)", "there is no reduce_instance_dims with noise"),
        ("count_per_key(inputs['x'], 'file')", "there is no key_vocabulary_filename with noise"),
        ("mean(*inputs)", "its arguments are not written out"),
        ("mean(inputs['x'], **options)", "its arguments are not written out"),
        ("mean(inputs['x'], True, 'n', tf.float32, 0)", "more arguments than tft takes"),
        ("mean(inputs['x'], x=inputs['y'])", "given twice"),
        ("mean(name='n')", "not given what it is of"),
        ("histogram(inputs['x'], edges)", "its boundaries are not seen"),
        ("histogram(inputs['x'], categorical=flag)", "not seen whether it is categorical"),
        ("mean(inputs['x'].values)", "has no row for each record"),
        ("vocabulary(tf.concat([inputs['x'].flat_values, inputs['y'].flat_values], 0))", "has no row for each record"),
    ],
)
def test_a_call_that_no_private_one_can_replace_is_left_and_named(tmp_path: pathlib.Path, call: str, why: str) -> None:
    """DPTransform refuses it then, before anything is charged."""
    proposal = proposed(tmp_path, f"options = {{}}\nflag = edges = None\nreturn {{'y': tft.{call}}}")
    assert f"tft.{call}" in proposal.text
    assert "dpt" not in proposal.text
    assert why in said(proposal)
    assert "DPTransform refuses it" in said(proposal)
    (left,) = proposal.uncovered
    assert left.text.startswith(f"tft.{call.partition('(')[0]} computes from all records; epsilon does not cover it.")
    assert not proposal.releases


@pytest.mark.parametrize("name", sorted(analyzers.INSTEAD))
def test_an_analyzer_without_a_private_one_says_what_to_do_instead(tmp_path: pathlib.Path, name: str) -> None:
    proposal = proposed(tmp_path, f"return {{'y': tft.{name}(inputs['x'])}}")
    assert f"tft.{name}(inputs['x'])" in proposal.text
    (left,) = proposal.uncovered
    assert "There is no private one" in left.text
    assert analyzers.INSTEAD[name] in left.text


@pytest.mark.parametrize(
    ("head", "call", "expected"),
    [
        ("import tensorflow_transform", "tensorflow_transform.mean(inputs['x'])", "dpt.mean"),
        ("from tensorflow_transform import mean", "mean(inputs['x'])", "dpt.mean"),
        ("from tensorflow_transform import mean as average", "average(inputs['x'])", "dpt.mean"),
        ("from tensorflow_transform import analyzers as an", "an.mean(inputs['x'])", "dpt.mean"),
        ("from tensorflow_transform import *", "mean(inputs['x'])", "dpt.mean"),
        ("from tensorflow_transform import *\nfrom os import *", "mean(inputs['x'])", "dpt.mean"),
        ("import tensorflow_transform as tft\nimport tfx_privacy.transform as p", "tft.mean(inputs['x'])", "p.mean"),
        ("import tensorflow_transform as tft\ndpt = 3", "tft.mean(inputs['x'])", "dpt_.mean"),
    ],
)
def test_an_analyzer_is_known_however_it_is_imported(
    tmp_path: pathlib.Path, head: str, call: str, expected: str
) -> None:
    proposal = proposed(tmp_path, f"return {{'y': {call}}}", head)
    assert f"{expected}(inputs['x'], bounds=None)" in proposal.text
    assert proposal.text.count("tfx_privacy.transform") == 1
    assert not proposal.uncovered


@pytest.mark.parametrize(
    "body",
    [
        "return tft.apply_vocabulary(inputs['x'], 'file')",
        "return tft.hash_strings(inputs['x'], 5)",
        "return tft.apply_buckets(inputs['x'], [[1.0]])",
        "return np.mean(inputs['x'])",
        "return max(inputs['x'])",
    ],
)
def test_what_looks_at_no_records_is_no_analyzer(tmp_path: pathlib.Path, body: str) -> None:
    with pytest.raises(ParameterError, match="no function run_fn"):
        proposed(tmp_path, body, f"{HEAD}import numpy as np")


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("scale = tft.scale_to_z_score\nreturn scale(inputs['x'])", "It is handed on here, not called"),
        ("return functools.partial(tft.mean, name='n')(inputs['x'])", "It is handed on here, not called"),
        ("return {'z': tft.mean}['z'](inputs['x'])", "It is handed on here, not called"),
        ("return getattr(tft, 'mean')(inputs['x'])", "tft itself is handed on here"),
        ("t = tft\nreturn t.mean(inputs['x'])", "tft itself is handed on here"),
        ("return help_me(tft.experimental, inputs)", "tft itself is handed on here"),
    ],
)
def test_an_analyzer_that_is_called_in_a_roundabout_way_is_named(tmp_path: pathlib.Path, body: str, what: str) -> None:
    proposal = proposed(tmp_path, body, f"{HEAD}import functools")
    assert [what in found.text for found in proposal.uncovered] == [True]
    assert proposal.text == proposal.module.source.text


LOOP = """
outputs = {}
for key in KEYS:
    outputs[key] = tft.scale_to_z_score(inputs[key])
return outputs
"""


def table(proposal: Proposal) -> list[str] | None:
    """Names in the table of bounds; None without one."""
    tables = [
        node.value
        for node in ast.parse(proposal.text).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith("_BOUNDS")
    ]
    if not tables:
        return None
    (found,) = tables
    assert isinstance(found, ast.Dict)
    assert all(isinstance(value, ast.Constant) and value.value is None for value in found.values)
    return [ast.literal_eval(key) for key in found.keys if key is not None]


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("KEYS = ['a', 'b']", ["a", "b"]),
        ("A = 'a'\nKEYS = (A, 'b')", ["a", "b"]),
        ("KEYS: list[str] = ['a']", ["a"]),
        ("MORE = ['b']\nKEYS = ['a'] + MORE", ["a", "b"]),
        ("KEYS = {'a': 1, 'b': 2}", ["a", "b"]),
        ("KEYS = sorted(['b'])", ["b"]),
        ("from names import KEYS", ["c", "d"]),
        ("KEYS = read()", []),
        ("KEYS = OTHER\nOTHER = KEYS", []),
        ("KEYS = ['a']\nKEYS = ['b']", []),
    ],
)
def test_features_of_a_loop_have_their_bounds_in_a_table(tmp_path: pathlib.Path, head: str, names: list[str]) -> None:
    proposal = proposed(tmp_path, LOOP, f"{HEAD}{head}", names="KEYS = ['c', 'd']\n")
    assert "dpt.scale_to_z_score(inputs[key], bounds=_BOUNDS[key])" in proposal.text
    assert table(proposal) == names
    assert f"_BOUNDS of {', '.join(names) or 'whatever key is'}" in said(proposal)
    assert proposal.numbers == names


@pytest.mark.parametrize(
    ("loop", "bounds"),
    [
        ("[tft.scale_to_0_1(inputs[k]) for k in ['a', 'b']]", "_BOUNDS[k]"),
        ("{k: tft.scale_to_0_1(inputs[k]) for k in ('a', 'b')}", "_BOUNDS[k]"),
        ("[tft.bucketize(inputs[k], n) for k, n in zip(['a', 'b'], [3, 4])]", "_BOUNDS[k]"),
        ("[tft.bucketize(inputs[k], n) for n, k in enumerate(['a', 'b'])]", "_BOUNDS[k]"),
        ("[tft.bucketize(inputs[k], n) for k, n in {'a': 3, 'b': 4}.items()]", "_BOUNDS[k]"),
        ("[tft.scale_to_0_1(inputs['x']) for k in ('a', 'b')]", "None"),
    ],
)
def test_loops_of_all_kinds(tmp_path: pathlib.Path, loop: str, bounds: str) -> None:
    proposal = proposed(tmp_path, f"return {loop}")
    assert f"bounds={bounds})" in proposal.text
    assert table(proposal) == (["a", "b"] if bounds != "None" else None)


def test_a_feature_is_followed_to_where_it_was_taken(tmp_path: pathlib.Path) -> None:
    proposal = proposed(
        tmp_path,
        """
        outputs = {}
        for key in ['a', 'b']:
            dense = tf.sparse.to_dense(inputs[key])
            value = tf.math.log1p(dense)
            outputs[key] = tft.scale_to_z_score(value)
        outputs['c'] = tft.compute_and_apply_vocabulary(inputs['c'])
        return outputs
        """,
    )
    assert "bounds=_BOUNDS[key]" in proposal.text
    assert table(proposal) == ["a", "b"]
    assert (proposal.numbers, proposal.texts) == (["a", "b"], ["c"])


def test_the_table_stands_above_the_function_and_its_comments(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "prep.py"
    function = f"# Called by Transform.\ndef preprocessing_fn(inputs):\n{textwrap.indent(LOOP.strip(), '    ')}\n"
    path.write_text(f"{HEAD}\nKEYS = ['a']\n_BOUNDS = 3\n\n{function}")
    text = propose(modules.read(path)).text
    first, rest = text.split("# Fill in (lowest, highest) of each feature")
    assert first.endswith("KEYS = ['a']\n_BOUNDS = 3\n\n")
    assert "\n_BOUNDS_ = {\n    'a': None,\n}\n\n\n# Called by Transform.\ndef preprocessing_fn" in rest


def test_what_is_to_be_filled_in_is_said_above_the_statement(tmp_path: pathlib.Path) -> None:
    proposal = proposed(
        tmp_path,
        """
        mean, variance = tft.mean(inputs['x']), tft.var(inputs['x'])
        counts = tft.count_per_key(inputs['k'])
        a = 1; b = tft.mean(inputs['b'])
        return {'x': (inputs['x'] - mean) / variance}
        """,
    )
    lines = [line.strip() for line in proposal.text.split("\n")]
    at = lines.index("# Fill in bounds=(lowest, highest), known without the records.")
    assert lines[at + 1] == "mean, variance = dpt.mean(inputs['x'], bounds=None), dpt.var(inputs['x'], bounds=None)"
    assert lines[at + 2].startswith("# Fill in keys=[...]: the values that are counted")
    assert lines[at + 4] == "a = 1; b = dpt.mean(inputs['b'], bounds=None)"
    # Two of the same feature in one line are one question.
    assert said(proposal).count("must be known without the records") == 3


def test_comments_and_layout_stay(tmp_path: pathlib.Path) -> None:
    proposal = proposed(
        tmp_path,
        """
        return {
            'ü': tft.scale_to_z_score(  # scaled
                (inputs['ü']),  # as it is
                name='ü',
            ),
        }
        """,
    )
    assert "'ü': dpt.scale_to_z_score(  # scaled\n            (inputs['ü']),  # as it is\n" in proposal.text
    assert "            name='ü', bounds=None,\n        )," in proposal.text


def test_calls_inside_calls_are_all_rewritten(tmp_path: pathlib.Path) -> None:
    call = "tft.bucketize(tft.scale_to_0_1(inputs['x'], name='n'), 5, None, None)"
    expected = "dpt.bucketize(dpt.scale_to_0_1(inputs['x'], name='n', bounds=None), 5, None, bounds=None)"
    assert one(tmp_path, call) == expected


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("x = tf.strings.split(inputs['x'])\nreturn tft.vocabulary(x)", "give max_values=... as well"),
        ("return tft.vocabulary(tft.ngrams(inputs['x'], (1, 2), ' '))", "give max_values=... as well"),
        ("return tft.mean(inputs['x'] - tf.reduce_mean(inputs['x']))", "is made by reduce_mean: see that it still has"),
        ("return tft.mean(tf.reshape(inputs['x'], [-1]))", "is made by reshape: see that it still has one row"),
        (
            "n = tft.vocabulary(inputs['x'])\nreturn tft.experimental.get_vocabulary_size_by_name('x')",
            "write top_k + num_oov_buckets",
        ),
    ],
)
def test_what_the_text_does_not_decide_is_asked(tmp_path: pathlib.Path, body: str, words: str) -> None:
    assert words in said(proposed(tmp_path, body))


def test_a_helper_that_is_called_for_several_features_is_named(tmp_path: pathlib.Path) -> None:
    head = f"{HEAD}\n\ndef scaled(x):\n    return tft.scale_to_z_score(x)\n"
    proposal = proposed(tmp_path, "return {key: scaled(inputs[key]) for key in ('a', 'b')}", head)
    assert "return dpt.scale_to_z_score(x, bounds=None)" in proposal.text
    assert "scaled is called for several features perhaps" in said(proposal)


def test_analyzers_of_other_modules_are_named_with_the_command_that_proposes_theirs(tmp_path: pathlib.Path) -> None:
    helper = f"{HEAD}\n\ndef scaled(x):\n    return tft.scale_to_z_score(x)\n"
    body = "return {'x': scaled(inputs['x']), 'y': tft.mean(inputs['y'])}"
    proposal = proposed(tmp_path, body, f"{HEAD}from helper import scaled", helper=helper)
    (left,) = proposal.uncovered
    assert (left.file, left.line) == ("helper.py", 6)
    assert "`tfx-privacy migrate helper.py` proposes it" in left.text
    assert "dpt.scale_to_z_score(x, bounds=None)" in propose(modules.read(tmp_path / "helper.py")).text


def test_a_module_that_was_migrated_before_gets_private_analyzers_alone(tmp_path: pathlib.Path) -> None:
    head = f"{HEAD}\n\ndef model_fn(fn_args):\n    return tf.keras.Sequential()\n"
    proposal = proposed(tmp_path, "return {'x': tft.mean(inputs['x'])}", head)
    assert "dpt.mean(inputs['x'], bounds=None)" in proposal.text
    assert "def model_fn(fn_args):\n    return tf.keras.Sequential()\n" in proposal.text
    assert not proposal.trains
    text = report.render(proposal)
    assert "Instead of Trainer" not in text
    assert "Left out of run_fn" not in text


def test_a_module_of_an_estimator_is_refused_as_ever(tmp_path: pathlib.Path) -> None:
    head = f"{HEAD}\n\ndef trainer_fn(params, schema):\n    pass\n"
    with pytest.raises(ModelError, match="Estimator"):
        proposed(tmp_path, "return {'x': tft.mean(inputs['x'])}", head)


def test_the_report_wires_what_releases(tmp_path: pathlib.Path) -> None:
    text = report.render(propose(modules.read(TAXI)))
    for line in (
        "      privacy_releases=[each.outputs['privacy_release'] for each in (statistics_gen, transform)],",
        "  transform = DPTransform(",
        "      privacy=DPPreprocessing(target_epsilon=..., target_delta=...),  # a part of DPTrainer's",
        "  statistics_gen = DPStatisticsGen(",
        "          'trip_miles': Number(bounds=...),",
        "          'payment_type': Text(),",
    ):
        assert f"\n{line}\n" in text
    without = report.render(proposed(tmp_path, "return tft.pca(inputs['x'], 1, tf.float32)"))
    assert "DPTransform(" not in without


def test_the_command_writes_the_proposal_for_a_preprocessing_fn(tmp_path: pathlib.Path) -> None:
    proposed(tmp_path, "return {'x': tft.mean(inputs['x'])}")
    new = tmp_path / "new.py"
    result = CliRunner().invoke(cli, ["migrate", str(tmp_path / "prep.py"), "--output", str(new)])
    assert result.exit_code == 0, result.output
    assert "dpt.mean(inputs['x'], bounds=None)" in new.read_text()
    assert "import tensorflow_transform" not in new.read_text()


SHIPPED = sorted(
    path
    for folder in ("examples", "experimental/templates", "components/testdata")
    for path in (SITE_PACKAGES / "tfx" / folder).rglob("*.py")
    if "\ndef preprocessing_fn(" in path.read_text() and "tft." in path.read_text() and "sklearn" not in path.read_text()
)  # fmt: skip


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_preprocessing_fn_of_tfx_itself_is_rewritten_or_named(path: pathlib.Path) -> None:
    module = modules.read(path)
    called = [use for use in analyzers.uses(module) if use.name]
    if not called:
        return
    proposal = propose(module)
    left = {found.line for found in proposal.uncovered if found.file == path.name}
    written = modules.Module(path, proposal.text)
    assert len(analyzers.uses(written)) == len(left)
    assert proposal.text.count("dpt.") == len(called) - len(left)
    ast.parse(proposal.text)


def test_most_of_tfxs_own_analyzers_are_rewritten() -> None:
    assert len(SHIPPED) >= 12
    found = [propose(modules.read(path)) for path in SHIPPED if analyzers.uses(modules.read(path))]
    assert sum(proposal.releases for proposal in found) >= 10


def functions(folder: pathlib.Path, *files: str) -> dict[str, ast.arguments]:
    return {
        node.name: node.args
        for file in files
        for node in ast.parse((folder / file).read_text()).body
        if isinstance(node, ast.FunctionDef)
    }


def test_arguments_are_those_of_both_sources() -> None:
    theirs = functions(TFT, "analyzers.py", "mappers.py", "experimental/analyzers.py", "experimental/mappers.py")
    ours = functions(OURS, "analyzers.py", "mappers.py", "vocabularies.py")
    ours["vocabulary"] = ours["compute_vocabulary"]
    for name, private in analyzers.PRIVATE.items():
        by_place = [argument.arg for argument in theirs[name].args]
        by_name = [argument.arg for argument in theirs[name].kwonlyargs]
        own_by_place = [argument.arg for argument in ours[private.name].args]
        own = own_by_place + [argument.arg for argument in ours[private.name].kwonlyargs]
        assert private.parameters == tuple(by_place), name
        assert own_by_place[: private.by_place] == by_place[: private.by_place], name
        assert {*by_place, *by_name} - set(private.refuses) <= set(own), name
        assert not set(private.refuses) & set(own), name
        assert not private.needs or private.needs in own, name
    assert set(analyzers.INSTEAD) <= set(theirs) | {"tukey_h_params"}
    assert not set(analyzers.INSTEAD) & set(ours)
