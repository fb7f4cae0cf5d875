"""What DPTransform and DPStatisticsGen share: their parameters, and the way from sums to the record of a release."""

from __future__ import annotations

import importlib.metadata
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
from absl import logging
from tfx import types
from tfx.orchestration import data_types
from tfx.types import artifact_utils, component_spec
from tfx.utils import io_utils

from tfx_privacy import _validate
from tfx_privacy._version import __version__
from tfx_privacy.components import (
    _files,
    _signatures,
    accounts,
    exact_sums,
    examples_read,
    keys,
    release_charge,
    splits,
)
from tfx_privacy.errors import ParameterError, TFXPrivacyError
from tfx_privacy.random_bits import RandomBits
from tfx_privacy.records import base, statement, strict_json
from tfx_privacy.releases import noisy
from tfx_privacy.releases.parameters import DPPreprocessing
from tfx_privacy.releases.plan import ReleasePlan
from tfx_privacy.releases.queries import Query, VectorQuery, Vocabulary
from tfx_privacy.releases.record import Component, Release, file_name

PRIVACY_KEY = "privacy"
TARGET_EPSILON_KEY = "target_epsilon"

_WORK = ".work-"

PARAMETERS = {
    PRIVACY_KEY: component_spec.ExecutionParameter(type=str),
    TARGET_EPSILON_KEY: component_spec.ExecutionParameter(type=float, optional=True),
    keys.SPLITS_DISJOINT_FOR: component_spec.ExecutionParameter(type=str, optional=True),
    keys.LEDGER: component_spec.ExecutionParameter(type=str, optional=True),
    accounts.DATASET_ID_KEY: component_spec.ExecutionParameter(type=str, optional=True),
    accounts.DATASET_BLOCKS_KEY: component_spec.ExecutionParameter(type=str, optional=True),
}
"""Of the component's specification."""

# Display copies in ML Metadata are text, because doubles are rounded there.
_SHOWN = ("run_id", "component", "noise_multiplier", "delta_spent", "artifact_digest")


def arguments(
    privacy: DPPreprocessing,
    examples: types.BaseChannel,
    *,
    target_epsilon: float | data_types.RuntimeParameter | None,
    **account: str | None,
) -> dict[str, Any]:
    """Values of `PARAMETERS`.

    Raises:
      ParameterError: If `privacy` is none, there is no target_epsilon to replace, or the examples hold what TFX's own
        Transform took from others.
    """
    splits.check_released(examples)
    if not isinstance(privacy, DPPreprocessing):
        raise ParameterError(f"Expected privacy={_validate.short(privacy)} to be a DPPreprocessing.")
    if target_epsilon is not None and privacy.target_epsilon is None:
        raise ParameterError(
            f"target_epsilon={target_epsilon!r} is given, but privacy sets none to replace. Set privacy's target_epsilon."
        )
    if isinstance(target_epsilon, int | float):
        target_epsilon = _validate.positive(target_epsilon=target_epsilon)
    return {
        PRIVACY_KEY: privacy.to_json(),
        TARGET_EPSILON_KEY: target_epsilon,
        keys.SPLITS_DISJOINT_FOR: splits.disjoint_for(examples, privacy.user_id_key),
        **account,
    }


def read_privacy(exec_properties: Mapping[str, Any]) -> DPPreprocessing:
    """The privacy parameters of execution properties.

    Raises:
      ParameterError: If one breaks its rule.
    """
    values = strict_json.parameter(privacy=exec_properties[PRIVACY_KEY])
    target = exec_properties.get(TARGET_EPSILON_KEY)
    if target is not None:
        values["target_epsilon"] = target
    return DPPreprocessing.from_json(strict_json.dumps(values, indent=None))


def work_folder(uri: str) -> str:
    """A path below an output, for what must not leave; nothing is there.

    A run that was killed may have left its own: exact sums, which added up to others would count a record twice, and which
    must not lie about. So what is left is removed, and the name is a new one.
    """
    for name in tf.io.gfile.listdir(uri) if tf.io.gfile.exists(uri) else ():
        if name.startswith(_WORK):
            tf.io.gfile.rmtree(os.path.join(uri, name.rstrip("/")))
    return os.path.join(uri, f"{_WORK}{uuid.uuid4().hex}")


def files_of(examples: Sequence[types.Artifact], names: Sequence[str], component: str) -> list[str]:
    """The files of splits.

    Raises:
      ParameterError: If a split is unknown.
      DataError: If there is no file, or one that is no TFRecord of tf.Examples.
    """
    found: list[str] = []
    for artifact in examples:
        _files.check_payload_format(artifact, component)
        present = artifact_utils.decode_split_names(artifact.split_names)
        for name in names:
            if name not in present:
                raise ParameterError(f"Unknown split {name!r}. The examples have: {', '.join(sorted(present))}.")
            (uri,) = artifact_utils.get_split_uris([artifact], name)
            found += sorted(tf.io.gfile.glob(io_utils.all_files_pattern(uri)))
    exact_sums.check_files(found)
    return found


def released(
    make_pipeline: Callable[[], beam.Pipeline],
    reader: exact_sums.Reader,
    files: Sequence[str],
    plan: ReleasePlan,
    places: Sequence[int],
    folder: str,
    bits: RandomBits,
) -> dict[int, Any]:
    """Sums up records, once, and adds the noise, once.

    Args:
      make_pipeline: Of Beam.
      reader: Of the records; its columns are those of `places`.
      files: Of the records.
      plan: Of the whole release.
      places: Of the queries that are answered now.
      folder: Where the exact sums are for as long as this takes; nothing of it is left.
      bits: Where the noise comes from.

    Returns:
      Arrays or `noisy.Values`, by place.
    """
    queries: list[Query] = [plan.queries[place] for place in places]
    questions = exact_sums.Questions(reader, queries, plan.privacy.max_records_per_user)
    try:
        with make_pipeline() as pipeline:
            exact_sums.build(pipeline, questions, files, folder)
        sums = exact_sums.read(folder, queries)
    finally:
        if tf.io.gfile.exists(folder):
            tf.io.gfile.rmtree(folder)
    return {place: _noisy(plan, place, exact, bits) for place, exact in zip(places, sums, strict=True)}


def _noisy(plan: ReleasePlan, place: int, exact: Any, bits: RandomBits) -> Any:
    query, answer = plan.queries[place], plan.answers[place]
    if isinstance(query, Vocabulary):
        counts = np.fromiter(exact.values(), np.int64, len(exact))
        found = noisy.noisy_values(query, answer, list(exact), counts, bits)
        if not found.keys:
            assert answer.selection is not None
            logging.warning(
                "%s: no value reached the threshold of %d records; the vocabulary is empty. Give it a larger share, or join "
                "rare values.", query.name, answer.selection.threshold,
            )  # fmt: skip
        return found
    assert isinstance(query, VectorQuery)
    return noisy.noisy_vector(query, answer, exact, bits)


def make_release(
    plan: ReleasePlan,
    *,
    run_id: str,
    component: Component,
    examples: Sequence[types.Artifact],
    names: Sequence[str],
    splits_disjoint_for: str | None,
    bits: RandomBits,
    artifact_digest: str,
    files_read: Sequence[str] = (),
    uncovered_analyzers: Sequence[str] = (),
) -> Release:
    """The record of what was released."""
    privacy = plan.privacy
    return Release(
        run_id=run_id,
        issued_at=base.utc_now(),
        component=component,
        examples=examples_read.of(examples),
        splits=list(names),
        splits_disjoint_for=splits_disjoint_for,  # type: ignore[arg-type] # of `splits.disjoint_for`
        privacy_unit=privacy.privacy_unit,  # type: ignore[arg-type] # one of the two literals
        max_records_per_user=privacy.max_records_per_user,
        user_id_key=privacy.user_id_key,
        neighboring_relation=privacy.neighboring_relation,  # type: ignore[arg-type]
        answers=list(plan.answers),
        noise_multiplier=plan.noise_multiplier,
        noise_source=noisy.noise_source(bits),  # type: ignore[arg-type]
        artifact_digest=artifact_digest,
        files_read=list(files_read),
        uncovered_analyzers=list(uncovered_analyzers),
        engine=f"tfx-privacy {__version__}, tensorflow {tf.__version__}, apache-beam {importlib.metadata.version('apache-beam')}",
    )


def commit(
    run: release_charge.MeteredRelease | release_charge.UnmeteredRelease,
    release: Release,
    output_dict: Mapping[str, Sequence[types.Artifact]],
) -> Release:
    """Tells the ledger what was released, before the record of it is written.

    What a release whose charge the ledger does not know has shown must not lie about for others to find, so it is removed.

    Raises:
      TFXPrivacyError: If the ledger does not take it.
    """
    try:
        return run.commit(release)
    except TFXPrivacyError:
        for artifact in (artifact for artifacts in output_dict.values() for artifact in artifacts):
            if tf.io.gfile.exists(artifact.uri):
                tf.io.gfile.rmtree(artifact.uri)
        raise


def write_release(artifact: types.Artifact, release: Release, split: str | None = None) -> None:
    """Writes the record, signed where there is a key, and what people want to see into custom properties."""
    _signatures.write_signed_text(artifact.uri, file_name(split), statement.to_json(release))
    for name in _SHOWN:
        key = name if split is None else f"{name}_{split}"
        artifact.set_string_custom_property(key, str(getattr(release, name)))
