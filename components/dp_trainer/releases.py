"""What was released of the records before training: read, and held against the run's terms, before anything is charged."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging
from tfx import types
from tfx.dsl.io import fileio

from tfx_privacy import training
from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.components import _signatures, splits
from tfx_privacy.components.accounts import Account
from tfx_privacy.errors import CheckpointError, EvidenceError, ParameterError
from tfx_privacy.guarantee.record import MAX_RELEASES, CoveredRelease
from tfx_privacy.guarantee.spending import Beside, delta_after_thresholds, identities
from tfx_privacy.records import statement, strict_json
from tfx_privacy.releases.record import FILE_NAME, Release, are_same_users, file_name

KEYS = tuple(f"privacy_release_{number}" for number in range(1, 9))
"""Inputs of DPTrainer: one for each channel, because Kubeflow takes no union of channels."""
SOURCE_EXAMPLES_KEY = "source_examples"
"""Input of DPTrainer, not read: what TFX's Transform made the examples of, where nothing else says which ones they are."""
NUM_RELEASES_KEY = "num_privacy_releases"
"""Execution parameter: how many are wired, so one that does not arrive is missed."""
SCHEMA_RELEASE_KEY = "schema_release"
"""Execution parameter: number of the input whose statistics the schema was made of."""

_FILES = re.compile(r"privacy_release(-.+)?\.json")
_NOTE = "privacy_releases.json"
_SCHEMA_GEN = ("tfx.components.schema_gen.component", "SchemaGen")
# What brings in a file of the author's. By name; an author's own class may do anything.
_IMPORTERS = (
    ("tfx.components.schema_gen.import_schema_gen.component", "ImportSchemaGen"),
    ("tfx.dsl.components.common.importer", "Importer"),
)


@dataclasses.dataclass(frozen=True)
class Read:
    """The releases of a run."""

    by_input: Mapping[str, list[CoveredRelease]]
    schema_input: str | None = None
    """The input whose statistics the schema was made of; None where nothing shows one."""

    @property
    def all(self) -> list[CoveredRelease]:
        """Of every input, in their order."""
        return [release for releases in self.by_input.values() for release in releases]

    @property
    def of_schema(self) -> list[CoveredRelease]:
        """Those of which the schema was made."""
        return list(self.by_input.get(self.schema_input or "", ()))


def channels(privacy_releases: types.BaseChannel | Sequence[types.BaseChannel] | None) -> dict[str, types.BaseChannel]:
    """The channels by the inputs that take them.

    Raises:
      ParameterError: If they are more than there are inputs, or one is there twice.
    """
    if privacy_releases is None:
        return {}
    found = [privacy_releases] if isinstance(privacy_releases, types.BaseChannel) else list(privacy_releases)
    if len(found) > len(KEYS):
        raise ParameterError(
            f"Expected at most {len(KEYS)} channels of privacy_releases, not {len(found)}. Let one component release what "
            "several do."
        )
    for index, channel in enumerate(found):
        if any(channel is other for other in found[:index]):
            raise ParameterError(
                f"privacy_releases has the channel {channel!r} twice: it would count twice. Give each once."
            )
    return dict(zip(KEYS, found, strict=False))


def schemas_release(schema: Any, wired: Mapping[str, types.BaseChannel]) -> int | None:
    """Which of the channels has the statistics that a schema was made of, as the pipeline wires it.

    SchemaGen makes it of nothing else, so it is as private as they are.

    Returns:
      The number of the input, from 1 on; None where nothing shows one.
    """
    node = getattr(schema, "producer_component", None)
    if node is None:
        return None
    makers = [node]
    if splits.kind(node) == _SCHEMA_GEN:
        makers.append(getattr(node.inputs.get("statistics"), "producer_component", None))
    for number, channel in enumerate(wired.values(), 1):
        maker = getattr(channel, "producer_component", None)
        if maker is not None and any(maker is each for each in makers):
            return number
    return None


def is_imported(schema: Any) -> bool:
    """Whether the pipeline's author brought a schema in, who then answers for what is in it."""
    node = getattr(schema, "producer_component", None)
    return node is not None and splits.kind(node) in _IMPORTERS


def read(input_dict: Mapping[str, list[types.Artifact]], exec_properties: Mapping[str, Any]) -> Read:
    """Reads every record of every artifact, with its signature.

    Raises:
      EvidenceError: If one of the inputs that are wired brings none, a record cannot be read or is none, a signature is not
        valid, or they are more than a guarantee holds.
    """
    wired = KEYS[: exec_properties.get(NUM_RELEASES_KEY) or 0]
    unknown = [key for key in KEYS if input_dict.get(key) and key not in wired]
    if unknown:
        raise EvidenceError(f"Input {unknown[0]!r} brings releases, and the component was declared without.")
    found = {key: [record for each in _artifacts(input_dict, key) for record in _records(each)] for key in wired}
    if sum(map(len, found.values())) > MAX_RELEASES:
        raise EvidenceError(
            f"There are {sum(map(len, found.values()))} releases; a guarantee holds at most {MAX_RELEASES}. Release several "
            "splits together."
        )
    number = exec_properties.get(SCHEMA_RELEASE_KEY)
    return Read(found, KEYS[number - 1] if number else None)


def check(beside: Beside, privacy: DPParameters, account: Account | None) -> None:
    """Refuses releases of which, with the training, nothing could be said afterwards.

    Args:
      beside: The releases of the run, and what the training has in common with them.
      privacy: What it was asked for.
      account: Whose budget it is charged to; None without a ledger.

    Raises:
      ParameterError: If one is there twice, is not private, is for another privacy unit or neighbouring relation, was
        charged elsewhere, is of other examples, or their thresholds have spent the whole delta.
    """
    run_ids = [release.run_id for release in beside.releases]
    for run_id in run_ids:
        if run_ids.count(run_id) > 1:
            raise ParameterError(
                f"Release {run_id} is wired twice, and would count twice. Wire each PrivacyRelease once."
            )
    if not privacy.enabled:
        return
    for release in beside.releases:
        _check_terms(release, privacy)
        _check_account(release, account)
        _check_examples(release, beside)
    assert privacy.target_delta is not None
    for group in beside.groups() or ():
        if not delta_after_thresholds(privacy.target_delta, group.delta_spent) > 0.0:
            raise ParameterError(
                f"The thresholds of what was released have spent delta={group.delta_spent:g} of target_delta="
                f"{privacy.target_delta:g}: nothing is left for the training. Raise target_delta, or release with a smaller "
                "delta."
            )


def bind(releases: Sequence[CoveredRelease], checkpoints: training.Checkpoints | None) -> None:
    """Ties the attempts at a run to the same releases: what an earlier one was made with is in its weights.

    Raises:
      CheckpointError: If an earlier attempt was made with others.
    """
    if checkpoints is None:
        return
    stated = strict_json.canonical([release.release_digest for release in releases])
    if not checkpoints.has_journal:
        checkpoints.write_note(_NOTE, stated)
    elif (checkpoints.read_note(_NOTE) or "[]") != stated:
        raise CheckpointError(
            "An earlier attempt in checkpoint_dir was made with other privacy_releases, and its weights are resumed: epsilon "
            "would leave those out. Resume with the same, or use another folder; what the earlier attempt spent stays spent."
        )


def _artifacts(input_dict: Mapping[str, list[types.Artifact]], key: str) -> list[types.Artifact]:
    found = [artifact for artifact in input_dict.get(key) or [] if artifact.uri]
    if not found:
        raise EvidenceError(
            f"Input {key!r} has no artifact: a release that is not there cannot be counted. Wire privacy_releases from the "
            "same run, or leave that channel out."
        )
    return found


def _records(artifact: types.Artifact) -> list[CoveredRelease]:
    try:
        names = sorted(name for name in fileio.listdir(artifact.uri) if _FILES.fullmatch(name))
    except Exception as error:
        raise EvidenceError(f"{artifact.uri} could not be read: {type(error).__name__}: {error}.") from error
    if not names:
        raise EvidenceError(
            f"There is no {FILE_NAME} in {artifact.uri}, nor one of a split. Wire the privacy_release of a component of this "
            "package."
        )
    if len(names) > MAX_RELEASES:
        raise EvidenceError(f"There are {len(names)} releases in {artifact.uri}, and at most {MAX_RELEASES} are read.")
    return [_record(artifact.uri, name) for name in names]


def _record(uri: str, name: str) -> CoveredRelease:
    text = _signatures.read_signed_text(uri, name)
    if isinstance(text.signer, EvidenceError):
        raise EvidenceError(f"The signature of a release is not valid: {text.signer}")
    record = statement.from_json(Release, text.text)
    if name not in (FILE_NAME, *(file_name(split) for split in record.splits if len(record.splits) == 1)):
        raise EvidenceError(
            f"{name!r} in {uri} is a release of splits {', '.join(record.splits)}: the file was copied or renamed."
        )
    return CoveredRelease.of(record, signed_by=text.signer)


def _check_terms(release: CoveredRelease, privacy: DPParameters) -> None:
    name = f"The release {release.run_id[:8]} of {release.component}"
    if not release.is_private:
        raise ParameterError(
            f"{name} has noise_source={release.noise_source!r}, which whoever knows the seed can subtract: nothing would be "
            "private. Release with noise of the operating system."
        )
    for term, of_release, wanted in (
        ("privacy_unit", release.privacy_unit, privacy.privacy_unit),
        ("neighboring_relation", release.neighboring_relation, privacy.neighboring_relation),
    ):
        if of_release != wanted:
            raise ParameterError(
                f"{name} is for {term}={of_release!r}, this training for {wanted!r}: their epsilons cannot be added up. "
                f"Release and train with the same {term}."
            )
    if not are_same_users(privacy.privacy_unit, release.user_id_key, privacy.user_id_key):
        raise ParameterError(
            f"{name} tells users apart by user_id_key={release.user_id_key!r}, this training by {privacy.user_id_key!r}: these "
            "are not known to be the same people, so their epsilons cannot be added up. Release and train with the same "
            "user_id_key; preprocessing_fn must hand that feature on under its name."
        )


def _check_examples(release: CoveredRelease, beside: Beside) -> None:
    """What the gate would refuse is not begun; where one side says nothing, it is told."""
    own, read_there = identities(beside.examples), identities(release.examples)
    if own and read_there and own != read_there:
        raise ParameterError(
            f"The release {release.run_id[:8]} of {release.component} is of other examples than these: their span, version or "
            "input_fingerprint differ. Release of the examples that are trained on."
        )
    if bool(own) != bool(read_there):
        logging.warning(
            "DPTrainer: whether the release %s of %s is of these examples is not known, as %s not say which they are "
            "(span, version, input_fingerprint): BudgetValidator will not bless the model.",
            release.run_id[:8],
            release.component,
            "it does" if own else "these do",
        )


def _check_account(release: CoveredRelease, account: Account | None) -> None:
    of_release = (release.dataset_id, None if release.ledger is None else sorted(release.ledger.blocks))
    own = (None, None) if account is None else (account.dataset_id, sorted(account.blocks))
    if of_release != own:
        raise ParameterError(
            f"The release {release.run_id[:8]} of {release.component} was charged to dataset_id={of_release[0]!r}, blocks="
            f"{of_release[1] or []!r}, and this training is to be charged to {own[0]!r}, blocks={own[1] or []!r}: no budget "
            "would count both. Give the components the same ledger, dataset_id and dataset_blocks."
        )
