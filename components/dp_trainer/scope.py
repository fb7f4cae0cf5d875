"""Which upstream artifacts took something from the data that the guarantee does not cover."""

from __future__ import annotations

import os
import warnings

import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import saved_model_pb2
from tfx.dsl.io import fileio

from tfx_privacy._printable import printable
from tfx_privacy.guarantee.record import ScopeItem

# Below a TransformGraph artifact, as tft.TFTransformOutput lays it out.
_SAVED_MODEL = os.path.join("transform_fn", "saved_model.pb")
_MAX_NAMES, _MAX_NAME = 20, 100


def of_transform_graph(uri: str) -> ScopeItem:
    """Whether a transform graph holds results of analyzers.

    Transform (1.16 and 1.21, tried with each kind of analyzer) saves an analyzer's result as a constant that the
    function captures, or as a vocabulary file; constants written in `preprocessing_fn` are part of the function
    instead. Lookup tables made of constants are captured as well: they cannot be told from an analyzer's result, and
    count as one.

    Args:
      uri: URI of the TransformGraph artifact.

    Returns:
      The item; covered only if the graph could be read and captures nothing.
    """
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
            "tables, which look the same."
        )
        return found.model_copy(update={"detail": detail})
    return ScopeItem(
        artifact="transform_graph",
        covered=True,
        detail="No analyzer ran: nothing in the graph was computed from the data.",
    )


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


def of_schema(*, parses_records: bool) -> ScopeItem:
    """A schema that was wired.

    Args:
      parses_records: Whether DPTrainer parses the records by it; by the transform graph otherwise.
    """
    taken = (
        "Names, types and shapes of the features were taken from it to parse the records; no values."
        if parses_records
        else "DPTrainer takes nothing from it: the transform graph parses the records."
    )
    return ScopeItem(artifact="schema", covered=True, detail=f"{taken} What the module itself reads of it is not seen.")


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
