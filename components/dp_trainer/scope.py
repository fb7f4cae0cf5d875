"""Which upstream artifacts took something from the data that the guarantee does not cover."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

import tensorflow as tf
from absl import logging
from google.protobuf import message
from tensorflow.core.protobuf import saved_model_pb2
from tfx.dsl.io import fileio

from tfx_privacy._printable import printable
from tfx_privacy.components import _files
from tfx_privacy.errors import EvidenceError
from tfx_privacy.guarantee.record import CoveredRelease, ScopeItem, has_canaries
from tfx_privacy.releases.record import ExamplesRead

# Below a TransformGraph artifact, as tft.TFTransformOutput lays it out.
_SAVED_MODEL = os.path.join("transform_fn", "saved_model.pb")
_MAX_NAMES, _MAX_NAME = 20, 100
_NO_RELEASE = " None of the releases in epsilon is of this graph."


def of_transform_graph(uri: str, releases: Sequence[CoveredRelease] = ()) -> ScopeItem:
    """Whether a transform graph holds results of analyzers that no release covers.

    Transform (1.16 and 1.21, tried with each kind of analyzer) saves an analyzer's result as a constant that the
    function captures, or as a vocabulary file; constants written in `preprocessing_fn` are part of the function
    instead. Lookup tables made of constants are captured as well: they cannot be told from an analyzer's result, and
    count as one.

    Args:
    What DPTransform released is covered where the graph is the very one that came of it, by the digest of all its files, and
    the release names nothing beside its own answers.

    Args:
      uri: URI of the TransformGraph artifact.
      releases: That are in epsilon.

    Returns:
      The item; covered only if the graph could be read, and captures nothing or is a release's.
    """
    release = _release_of(uri, releases)
    if release is not None:
        return _released(release)
    try:
        constants, vocabularies = _captures(os.path.join(uri, _SAVED_MODEL))
    except (OSError, SystemError, tf.errors.OpError, message.DecodeError, ValueError) as error:
        detail = f"The graph could not be examined ({type(error).__name__}), so it may hold results of analyzers."
        return ScopeItem(artifact="transform_graph", covered=False, detail=detail)
    if constants or vocabularies:
        found = ScopeItem(
            artifact="transform_graph", covered=False, detail="", vocabularies=vocabularies, num_constants=constants
        )
        named = f" ({', '.join(vocabularies[:_MAX_NAMES])}{', ...' if len(vocabularies) > _MAX_NAMES else ''})"
        detail = (
            f"It holds {found.held}{named if vocabularies else ''}: results of analyzers over the raw data, or lookup "
            f"tables, which look the same.{_NO_RELEASE if any(each.component == 'transform' for each in releases) else ''}"
        )
        return found.model_copy(update={"detail": detail})
    return ScopeItem(
        artifact="transform_graph",
        covered=True,
        detail="No analyzer ran: nothing in the graph was computed from the data.",
    )


def _release_of(uri: str, releases: Sequence[CoveredRelease]) -> CoveredRelease | None:
    """The release that a graph came of; None where it is of none, or cannot be read."""
    candidates = [each for each in releases if each.component == "transform"]
    if not candidates:
        return None
    try:
        digest = _files.directory_digest(uri)
    except (OSError, EvidenceError, tf.errors.OpError):
        return None
    return next((each for each in candidates if each.artifact_digest == digest), None)


def _released(release: CoveredRelease) -> ScopeItem:
    if release.is_complete:
        return ScopeItem(
            artifact="transform_graph",
            covered=True,
            detail=f"What it holds of the data was released with noise, which is in epsilon (release {release.run_id[:8]}).",
            covered_by=[release.run_id],
        )
    problems = [
        f"{what}: {', '.join(names[:_MAX_NAMES])}{', ...' if len(names) > _MAX_NAMES else ''}"
        for what, names in (
            ("analyzers without noise", [_printed(name) for name in release.uncovered_analyzers]),
            ("files that preprocessing_fn opened", [_printed(name) for name in release.files_read]),
        )
        if names
    ]
    detail = f"Beside what was released with noise (release {release.run_id[:8]}) it may hold results of {'; '.join(problems)}."
    return ScopeItem(artifact="transform_graph", covered=False, detail=detail)


def of_examples(examples: Sequence[ExamplesRead]) -> list[ScopeItem]:
    """Examples of which epsilon is not true: canaries are made of the values of the records among which they are.

    One person's value may stand in many of them, so leaving that person's record out changes many records. Whether it does
    depends on the data and on CanaryInserter's draw, so nothing bounds it.

    Args:
      examples: That are trained on.

    Returns:
      An item where there are canaries, which DPTrainer trains on for an audit all the same.
    """
    if not has_canaries(examples):
        return []
    logging.warning(
        "DPTrainer: the examples hold canaries, so BudgetValidator will not bless the model: it is for an audit."
    )
    detail = (
        "CanaryInserter added records to them that are made of values of the others: one person's value may stand in many, so "
        "epsilon, which is of one record, is not true of that person."
    )
    return [ScopeItem(artifact="examples", covered=False, detail=detail)]


def of_hyperparameters(*, declared_public: bool) -> ScopeItem:
    """Hyperparameters that were handed in, usually by a Tuner, each of whose trials is a training on the records without privacy.

    Args:
      declared_public: The pipeline's author says that no private record had a part in choosing them.
    """
    if declared_public:
        detail = (
            "Declared by the pipeline's author as chosen without the private records (hyperparameters_are_public); "
            "nothing checked it."
        )
        return ScopeItem(artifact="hyperparameters", covered=True, detail=detail)
    detail = (
        "A Tuner chooses them by trials, each of which is a training on the records and an evaluation without "
        "differential privacy; no trial is counted in epsilon, nor charged to a budget ledger."
    )
    return ScopeItem(artifact="hyperparameters", covered=False, detail=detail)


def of_schema(
    *,
    parses_records: bool,
    releases: Sequence[CoveredRelease] = (),
    names_classes: bool = False,
    declared_public: bool = False,
) -> ScopeItem:
    """A schema that was wired.

    SchemaGen puts every text into a label's domain that one record has, and the served model holds that domain.

    Args:
      parses_records: Whether DPTrainer parses the records by it; by the transform graph otherwise.
      releases: Of the statistics that it was made of, as the pipeline is wired.
      names_classes: Whether the texts of the label come from it, which are written into the served model.
      declared_public: The pipeline's author imported it, or says that no private record had a part in it.
    """
    made_of = [each.run_id for each in releases if each.component == "statistics" and each.is_complete]
    if made_of and len(made_of) == len(releases):
        named = ", ".join(run_id[:8] for run_id in made_of)
        detail = f"It was made of statistics that were released with noise, which is in epsilon (release {named})."
        return ScopeItem(artifact="schema", covered=True, detail=detail, covered_by=made_of)
    if names_classes:
        return _of_classes(declared_public=declared_public)
    taken = (
        "Names, types and shapes of the features were taken from it to parse the records; no values."
        if parses_records
        else "DPTrainer takes nothing from it: the transform graph parses the records."
    )
    return ScopeItem(artifact="schema", covered=True, detail=f"{taken} What the module itself reads of it is not seen.")


def _of_classes(*, declared_public: bool) -> ScopeItem:
    """A schema without a release whose texts are in the served model."""
    held = "The texts that the classes of the label are called by come from it, and are in the served model"
    if declared_public:
        detail = (
            f"{held}. It was imported, or declared public (schema_is_public), by the pipeline's author: no private record had "
            "a part in it; nothing checked that."
        )
        return ScopeItem(artifact="schema", covered=True, detail=detail)
    detail = (
        f"{held}: if it was made of the records without noise, it has each text that any one record has. Nothing shows that "
        "it was made of released statistics, or without the records."
    )
    return ScopeItem(artifact="schema", covered=False, detail=detail)


def _captures(path: str) -> tuple[int, list[str]]:
    """How many constants a graph captures, and the names of its vocabulary files."""
    saved_model = saved_model_pb2.SavedModel()
    with fileio.open(path, "rb") as file, warnings.catch_warnings():
        # A file that is read in part only gets a warning; as an error it comes out as a SystemError.
        warnings.simplefilter("error")
        saved_model.ParseFromString(file.read())
    (graph,) = saved_model.meta_graphs
    nodes = graph.object_graph_def.nodes
    if not any(child.local_name == "transform_fn" for node in nodes for child in node.children):
        raise ValueError("not a TF 2 transform function")
    kinds = [node.WhichOneof("kind") for node in nodes]
    names = sorted(_printed(asset.filename) for asset in graph.asset_file_def)
    names += ["unnamed"] * (kinds.count("asset") - len(names))
    return kinds.count("constant") + kinds.count("variable"), names


def _printed(name: str) -> str:
    shown = printable(os.path.basename(name)) or "unnamed"
    return shown if len(shown) <= _MAX_NAME else f"{shown[: _MAX_NAME - 3]}..."
