"""What the SavedModel serves, from its own description, and which of it is the same as what is attacked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy import compat
from tfx_privacy.attacks import served
from tfx_privacy.attacks.membership.sample import Sample
from tfx_privacy.attacks.same_outputs import Answers, Comparison, Way
from tfx_privacy.attacks.served import ServedOutput, ServedSignature, ServedTensor
from tfx_privacy.components.privacy_evaluator.reader import BATCH_SIZE, LoadedReader

_INIT = "__saved_model_init_op"
"""TensorFlow's own entry: it initialises tables, and gives no tensor."""
_NO_TENSOR = 0


def signatures(model_path: str, tags: Sequence[str]) -> list[ServedSignature]:
    """Every signature of every MetaGraph of a SavedModel, as a server could answer it; nothing attacked so far.

    Args:
      model_path: Of the SavedModel.
      tags: Of the MetaGraph that is attacked; signatures of others have their tags before their names.
    """
    found = []
    for graph in compat.parse_saved_model(model_path).meta_graphs:
        own = sorted(graph.meta_info_def.tags)
        prefix = "" if own == sorted(tags) else f"{','.join(own)}:"
        for name, definition in sorted(graph.signature_def.items()):
            outputs = [
                ServedOutput(**_described(key, info))
                for key, info in sorted(definition.outputs.items())
                if not (name == key == _INIT and info.dtype == _NO_TENSOR)
            ]
            if outputs:
                inputs = [ServedTensor(**_described(key, info)) for key, info in sorted(definition.inputs.items())]
                found.append(ServedSignature(name=prefix + name, inputs=inputs, outputs=outputs))
    return found


def compared(
    loaded: LoadedReader, output_keys: Sequence[str], samples: Sequence[Sample]
) -> tuple[list[ServedSignature], int]:
    """What is served, with what is known of each output after all signatures were asked about the sampled records.

    Args:
      loaded: The model.
      output_keys: The outputs of its signature that are attacked.
      samples: Of members and of others, over all files.

    Returns:
      The signatures, and the number of records that were compared.

    Raises:
      ModelError: If the signature `from_features`, which was asked in place of the one that is served, differs.
    """
    name = loaded.reader.signature_name
    keys = {served.full_name(name, key): key for key in output_keys}
    comparison = Comparison()
    for records in _batches(samples):
        comparison.add(_answers(loaded, keys, records, comparison))
    known: dict[str, Way] = {**comparison.standings(), **dict.fromkeys(keys, ("attacked", ""))}
    described = [_with_standings(signature, known) for signature in signatures(loaded.reader.model_path, loaded.tags)]
    return described, sum(len(sample.records) for sample in samples)


def _answers(loaded: LoadedReader, keys: Mapping[str, str], records: Any, comparison: Comparison) -> Answers:
    outputs, features = loaded.predict(records), loaded.features(records)
    if loaded.reader.fused:
        loaded.check_fused(records, outputs)
    # A signature that said something else is not asked again: it may be one that writes whole texts.
    answers = loaded.answers([name for name in loaded.signatures if comparison.is_open(name)], records, features)
    return Answers(
        outputs=answers,
        attacked={name: outputs[key] for name, key in keys.items()},
        features={name: values.numpy() for name, values in features.items()},
        # What is attacked is a model, also where its weights are constants of the graph.
        weightless=frozenset(
            name for name in answers if name != loaded.reader.signature_name and loaded.reads_no_variable(name)
        ),
    )


def _batches(samples: Sequence[Sample]) -> Iterator[Any]:
    for sample in samples:
        for start in range(0, len(sample.records), BATCH_SIZE):
            yield tf.constant(np.array(sample.records[start : start + BATCH_SIZE], dtype=object))


def _with_standings(signature: ServedSignature, known: Mapping[str, Way]) -> ServedSignature:
    outputs = []
    for output in signature.outputs:
        standing, same_as = known.get(served.full_name(signature.name, output.name), ("unattacked", ""))
        outputs.append(ServedOutput(**{**output.model_dump(), "standing": standing, "same_as": same_as}))
    return ServedSignature(name=signature.name, inputs=signature.inputs, outputs=outputs)


def _described(name: str, info: Any) -> dict[str, Any]:
    shape = str(tf.TensorShape(info.tensor_shape))
    return {"name": name, "dtype": tf.dtypes.as_dtype(info.dtype).name if info.dtype else "none", "shape": shape}
