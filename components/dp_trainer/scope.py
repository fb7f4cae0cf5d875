"""Which upstream artifacts took something from the data that the guarantee does not cover."""

from __future__ import annotations

import os
import warnings

import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import saved_model_pb2
from tfx.dsl.io import fileio

from tfx_privacy.guarantee.record import ScopeItem

# Below a TransformGraph artifact, as tft.TFTransformOutput lays it out.
_SAVED_MODEL = os.path.join("transform_fn", "saved_model.pb")


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
        captured, assets = _captures(os.path.join(uri, _SAVED_MODEL))
    except (OSError, SystemError, tf.errors.OpError, message.DecodeError, ValueError) as error:
        detail = f"The graph could not be examined ({type(error).__name__}), so it may hold results of analyzers."
        return ScopeItem(artifact="transform_graph", covered=False, detail=detail)
    if captured or assets:
        detail = (
            f"It holds {captured} captured constants and {assets} vocabulary files: results of analyzers over the raw "
            "data, or lookup tables, which look the same."
        )
        return ScopeItem(artifact="transform_graph", covered=False, detail=detail)
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


def _captures(path: str) -> tuple[int, int]:
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
    return kinds.count("constant") + kinds.count("variable"), max(kinds.count("asset"), len(graph.asset_file_def))
