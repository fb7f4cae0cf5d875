"""DPTransform's work: count the analyzers, charge, sum up the records, add the noise, and let Transform do the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx import types
from tfx.components.transform import executor as transform_executor
from tfx.components.transform import executor_utils, labels
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

from tfx_privacy import compat
from tfx_privacy.components import (
    _files,
    _signatures,
    accounts,
    examples_read,
    execution_labels,
    keys,
    release_charge,
    releasing,
)
from tfx_privacy.components.dp_transform.traced_reader import TracedReader
from tfx_privacy.errors import ParameterError
from tfx_privacy.random_bits import RandomBits
from tfx_privacy.releases import plan as plans
from tfx_privacy.transform import reads
from tfx_privacy.transform.session import Session

ALLOW_UNCOVERED_KEY = "allow_uncovered_analyzers"

_ASSETS = os.path.join("transform_fn", "assets")


class Executor(transform_executor.Executor):
    """Executor of DPTransform; Transform's own does all that needs no noise."""

    def __init__(self, context: Any = None) -> None:
        super().__init__(context)
        self._session: Session | None = None
        # Before those given, so that any other runner that is named there counts.
        self._beam_pipeline_args.insert(0, f"--runner={compat.LOCAL_BEAM_RUNNER}")

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Transforms.

        Args:
          input_dict: `examples` and `schema`.
          output_dict: `transform_graph`, `privacy_release`, and `transformed_examples` where they are wanted.
          exec_properties: As DPTransformSpec declares them.

        Raises:
          TFXPrivacyError: If a parameter, the function or the data breaks a rule; no release is written then.
        """
        _signatures.check_signing_key()
        privacy, account = releasing.read_privacy(exec_properties), accounts.read(exec_properties)
        examples = input_dict[keys.EXAMPLES]
        config = executor_utils.ResolveSplitsConfig(
            exec_properties.get(standard_component_specs.SPLITS_CONFIG_KEY), examples
        )
        names = list(config.analyze)
        files = releasing.files_of(examples, names, "DPTransform")
        spec = _feature_spec(input_dict[keys.SCHEMA])
        graph = artifact_utils.get_single_instance(output_dict[keys.TRANSFORM_GRAPH])
        _files.check_writable([artifact.uri for found in output_dict.values() for artifact in found])
        work = releasing.work_folder(graph.uri)
        session = self._session = Session(os.path.join(work, "vocabularies"))
        allow_uncovered = exec_properties.get(ALLOW_UNCOVERED_KEY) == 1
        try:
            function = self._function(exec_properties)
            draft = session.draft(function, spec, privacy.user_id_key)
            _check(session, allow_uncovered=allow_uncovered)
            plan = plans.plan(session.queries, privacy)
            session.answers = plan.answers
            logging.info("DPTransform: %d answers, noise_multiplier=%.6g", len(plan.answers), plan.noise_multiplier)
            with release_charge.charged(
                account,
                run=plan.run,
                delta_spent=plan.delta_spent,
                privacy_unit=privacy.privacy_unit,
                neighboring_relation=privacy.neighboring_relation,
                labels=execution_labels.of(self._context),
            ) as run:
                bits = RandomBits.of_system()
                while draft.asked:
                    places = [asked.place for asked in draft.asked]
                    reader = TracedReader.save(draft, os.path.join(work, f"columns_{places[0]}"))
                    sums = os.path.join(work, f"sums_{places[0]}")
                    session.released.update(
                        releasing.released(self._make_beam_pipeline, reader, files, plan, places, sums, bits)
                    )
                    draft = session.draft(function, spec, privacy.user_id_key)
                    _check(session, allow_uncovered=allow_uncovered)
                super().Do(input_dict, output_dict, exec_properties)
                session.note_last_tracing()
                foreign_assets = _foreign_assets(graph.uri, session)
                tf.io.gfile.rmtree(work)
                release = releasing.make_release(
                    plan,
                    run_id=run.run_id,
                    component="transform",
                    examples=examples,
                    names=names,
                    splits_disjoint_for=exec_properties.get(keys.SPLITS_DISJOINT_FOR),
                    bits=bits,
                    artifact_digest=_files.directory_digest(graph.uri),
                    files_read=[*session.files.found, *foreign_assets],
                    uncovered_analyzers=session.uncovered,
                )
                committed = releasing.commit(run, release, output_dict)
        finally:
            if tf.io.gfile.exists(work):
                tf.io.gfile.rmtree(work)
        releasing.write_release(artifact_utils.get_single_instance(output_dict[keys.PRIVACY_RELEASE]), committed)
        for transformed in output_dict.get(standard_component_specs.TRANSFORMED_EXAMPLES_KEY, []):
            examples_read.copy(examples, transformed)

    def _GetPreprocessingFn(self, inputs: Mapping[str, Any], unused_outputs: Mapping[str, Any]) -> Callable[..., Any]:
        """As Transform's, which calls it too: what the function's module reads where it is imported counts as well."""
        assert self._session is not None
        with reads.watched(self._session.files):
            return self._session.last_traced(super()._GetPreprocessingFn(inputs, unused_outputs))

    def _function(self, exec_properties: dict[str, Any]) -> Callable[..., Any]:
        """The user's `preprocessing_fn`, found as Transform finds it."""
        assert self._session is not None
        with reads.watched(self._session.files):
            return super()._GetPreprocessingFn(
                {
                    labels.MODULE_FILE: exec_properties.get(standard_component_specs.MODULE_FILE_KEY),
                    labels.MODULE_PATH: exec_properties.get(standard_component_specs.MODULE_PATH_KEY),
                    labels.PREPROCESSING_FN: exec_properties.get(standard_component_specs.PREPROCESSING_FN_KEY),
                    labels.CUSTOM_CONFIG: exec_properties.get(standard_component_specs.CUSTOM_CONFIG_KEY),
                },
                {},
            )


def _feature_spec(schema: list[types.Artifact]) -> dict[str, Any]:
    path = io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(schema))
    parsed = io_utils.parse_pbtxt_file(path, schema_pb2.Schema())
    return dict(schema_utils.schema_as_feature_spec(parsed).feature_spec)


def _check(session: Session, *, allow_uncovered: bool) -> None:
    """Refuses, before anything is charged, a function that no release comes of or that takes without noise."""
    if session.uncovered and not allow_uncovered:
        raise ParameterError(
            f"preprocessing_fn calls tft's own analyzers, which add no noise: {', '.join(session.uncovered)}. Take those of "
            "tfx_privacy.transform, which have the same names; or set allow_uncovered_analyzers, which the gate sees."
        )
    if not session.queries:
        raise ParameterError(
            "preprocessing_fn asks nothing of the records with noise, so there is nothing to release. Use Transform: where no "
            "analyzer runs, nothing of it is uncovered."
        )


def _foreign_assets(uri: str, session: Session) -> Sequence[str]:
    """Files in the graph that are none of the released vocabularies, whatever they are called."""
    folder = os.path.join(uri, _ASSETS)
    if not tf.io.gfile.exists(folder):
        return []
    known = {_files.file_digest(path) for path in session.vocabulary_files()}
    return [
        name
        for name in sorted(tf.io.gfile.listdir(folder))
        if _files.file_digest(os.path.join(folder, name)) not in known
    ]
