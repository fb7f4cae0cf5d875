"""DPStatisticsGen's work: charge each split, sum up its records, add the noise, and write what TFDV reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from tfx_privacy import _validate, compat
from tfx_privacy.components import _files, _signatures, accounts, execution_labels, keys, release_charge, releasing
from tfx_privacy.components.dp_statistics_gen import reader, statistics
from tfx_privacy.errors import ParameterError
from tfx_privacy.random_bits import RandomBits
from tfx_privacy.records import strict_json
from tfx_privacy.releases import features as feature_list
from tfx_privacy.releases import plan as plans

FEATURES_KEY = "features"
SPLITS_KEY = "splits"

FILE_NAME = "FeatureStats.pb"
"""In each split's folder, as StatisticsGen calls it."""


class Executor(base_beam_executor.BaseBeamExecutor):
    """Executor of DPStatisticsGen."""

    def __init__(self, context: base_beam_executor.BaseBeamExecutor.Context | None = None) -> None:
        super().__init__(context)
        # Before those given, so that any other runner that is named there counts.
        self._beam_pipeline_args.insert(0, f"--runner={compat.LOCAL_BEAM_RUNNER}")

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes statistics of each split, and the record of its release.

        Args:
          input_dict: `examples`.
          output_dict: `statistics` and `privacy_release`.
          exec_properties: As DPStatisticsGenSpec declares them.

        Raises:
          TFXPrivacyError: If a parameter or a file breaks a rule, or the ledger refuses; no record was read then, but where a
            file is damaged.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        _signatures.check_signing_key()
        privacy, account = releasing.read_privacy(exec_properties), accounts.read(exec_properties)
        features = feature_list.from_json(exec_properties[FEATURES_KEY])
        examples = input_dict[keys.EXAMPLES]
        names = _splits(examples, exec_properties.get(SPLITS_KEY))
        files = {name: releasing.files_of(examples, [name], "DPStatisticsGen") for name in names}
        _files.check_writable([artifact.uri for found in output_dict.values() for artifact in found])
        plan = plans.plan(feature_list.queries(features), privacy)
        logging.info("DPStatisticsGen: %d answers, noise_multiplier=%.6g", len(plan.answers), plan.noise_multiplier)
        written = artifact_utils.get_single_instance(output_dict[keys.STATISTICS])
        written.split_names, written.span = artifact_utils.encode_split_names(names), examples[0].span
        releases = artifact_utils.get_single_instance(output_dict[keys.PRIVACY_RELEASE])
        source = reader.of_queries(features, plan.queries, privacy.user_id_key)
        labels = execution_labels.of(self._context)
        with release_charge.all_charged(
            account,
            run=plan.run,
            delta_spent=plan.delta_spent,
            privacy_unit=privacy.privacy_unit,
            neighboring_relation=privacy.neighboring_relation,
            labels=[labels | {"split": name} for name in names],
        ) as runs:
            for name, run in zip(names, runs, strict=True):
                bits = RandomBits.of_system()
                work = releasing.work_folder(written.uri)
                found = releasing.released(
                    self._make_beam_pipeline, source, files[name], plan, range(len(plan.queries)), work, bits
                )
                uri = artifact_utils.get_split_uri([written], name)
                _write(uri, statistics.dataset_statistics(features, plan, found).SerializeToString(deterministic=True))
                release = releasing.make_release(
                    plan,
                    run_id=run.run_id,
                    component="statistics",
                    examples=examples,
                    names=[name],
                    splits_disjoint_for=exec_properties.get(keys.SPLITS_DISJOINT_FOR),
                    bits=bits,
                    artifact_digest=_files.directory_digest(uri),
                )
                releasing.write_release(releases, releasing.commit(run, release, output_dict), name)


def _splits(examples: Sequence[types.Artifact], wanted: str | None) -> list[str]:
    """The splits to look at, in the order given, or all of the examples."""
    if not examples:
        raise ParameterError("Input 'examples' has no artifact. Wire it to the component that produces it.")
    if wanted:
        return distinct_splits(strict_json.parameter(splits=wanted))
    return distinct_splits(sorted(artifact_utils.decode_split_names(examples[0].split_names)))


def distinct_splits(names: Any) -> list[str]:
    """Names of splits, each once.

    Raises:
      ParameterError: If they are not.
    """
    is_list = isinstance(names, Sequence) and not isinstance(names, str)
    if not is_list or not names or not all(isinstance(name, str) and name for name in names):
        raise ParameterError(
            f"Expected splits={_validate.short(names)} to name at least one split, as a list of texts."
        )
    if len(set(names)) != len(names):
        raise ParameterError(f"Expected splits={_validate.short(names)} to name each split once: each is one release.")
    return list(names)


def _write(uri: str, payload: bytes) -> None:
    fileio.makedirs(uri)
    with fileio.open(os.path.join(uri, FILE_NAME), "wb") as file:
        file.write(payload)
