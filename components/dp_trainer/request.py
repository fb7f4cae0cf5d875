"""What a run is asked for: execution properties, splits, and the functions of the user's module."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tfx import types
from tfx.components.util import udf_utils
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils
from tfx.utils import proto_utils

from tfx_privacy import _validate, training
from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.attacks import reference_models as records_of_references
from tfx_privacy.components import accounts, keys
from tfx_privacy.components.accounts import Account
from tfx_privacy.components.dp_trainer import data
from tfx_privacy.errors import ParameterError
from tfx_privacy.guarantee.record import ParameterSource
from tfx_privacy.training import keras_api, stated_privacy
from tfx_privacy.training.stated_privacy import Stated

PRIVACY_KEY = "privacy"
TARGET_EPSILON_KEY = "target_epsilon"
CHECKPOINT_DIR_KEY = "checkpoint_dir"
DISTRIBUTION_KEY = "distribution"
DISTRIBUTIONS = ("none", "mirrored")
NUM_REFERENCE_MODELS_KEY = "num_reference_models"
ATTACKS_DURING_TRAINING_KEY = "attacks_during_training"
HYPERPARAMETERS_KEY = "hyperparameters"
HYPERPARAMETERS_ARE_PUBLIC_KEY = "hyperparameters_are_public"
SCHEMA_IS_PUBLIC_KEY = "schema_is_public"

_MAX_ATTACKS = 1000


@dataclasses.dataclass(frozen=True)
class Request:
    """What a run was asked for, and the user's functions."""

    privacy: DPParameters
    account: Account | None
    """None without a ledger."""
    label_key: str | None
    label_keys: Mapping[str, str]
    """By output of the model, where the module's input_fn gives labels by these names and its LABEL_KEY says what they are."""
    splits: list[str]
    held_out_splits: list[str]
    """Of records that the model does not see; none where neither reference models nor attacks need them."""
    num_references: int
    num_attacks: int
    """How often to attack the model while it trains."""
    strategy: Any
    fn_args: Any
    model_fn: Callable[..., Any]
    input_fn: Callable[..., Any] | None
    signatures_fn: Callable[..., Any] | None
    stated: Stated | None = None
    """What the model states of its privacy itself, once it was made."""
    sources: Sequence[ParameterSource] = ()
    """Where noise and clip come from, once it is known."""

    def first_model(self) -> tuple[Any, Request]:
        """A fresh model, and this request with what that states of its privacy in the place of what was left out.

        Raises:
          ParameterError: If what was asked for and what the model states differ.
          ModelError: If it states what cannot be taken for what it says.
        """
        model, stated = self._made()
        found = dataclasses.replace(
            self,
            privacy=stated_privacy.merged(self.privacy, stated),
            stated=stated,
            sources=stated_privacy.sources(self.privacy, stated),
        )
        return model, found

    def make_model(self) -> Any:
        """Another fresh model, which states the same as the first."""
        model, stated = self._made()
        if stated != self.stated:
            raise ParameterError(f"model_fn gave a model that states {self.stated}, and then one that states {stated}.")
        return model

    def _made(self) -> tuple[Any, Stated | None]:
        with self.strategy.scope() if self.strategy else contextlib.nullcontext():
            model = self.model_fn(_without_records(self.fn_args))
            return model, stated_privacy.take(model)

    def read(self, patterns: Sequence[str], model: Any) -> training.ColumnarDataset:
        """The records of some files, with the features that a model takes, or all where reference models need them as keys."""
        names = keras_api.input_names(model) if keras_api.is_model(model) else []
        needed = None if self.num_references or not names else {*names, self.privacy.user_id_key or names[0]}
        records = data.read(self.fn_args, self.label_key, self.input_fn, patterns, needed)
        return records if self.privacy.user_id_key is None else records.with_users(self.privacy.user_id_key)

    def made_up(self) -> training.ColumnarDataset | None:
        """One record without values, as `read` would give records; None where nothing but the records tells what they are."""
        records = data.made_up(_without_records(self.fn_args, "input_fn"), self.label_key, self.input_fn)
        if records is None or self.privacy.user_id_key is None:
            return records
        return records.with_users(self.privacy.user_id_key)

    def declared(self) -> training.ColumnarDataset | None:
        """Records at the ends of the domains that the schema declares; None without any, or where an input_fn reads."""
        if self.input_fn is not None:
            return None
        records = data.declared(_without_records(self.fn_args), self.label_key)
        if records is None or self.privacy.user_id_key is None:
            return records
        return records.with_users(self.privacy.user_id_key)

    def read_held_out(self, model: Any) -> training.ColumnarDataset | None:
        """Records that the model does not see; None where nothing needs them."""
        return self.read(self.fn_args.eval_files, model) if self.held_out_splits else None


class _Withheld:
    """Stands for the records where a function must not read them; any use says so."""

    def __init__(self, function: str, name: str) -> None:
        self._function, self._name = function, name

    def _refuse(self, *_: Any) -> Any:
        raise ParameterError(
            f"{self._function} uses fn_args.{self._name}, but must not read the records: what a model takes from them before "
            "training (adapt() of a layer, a mean, a vocabulary) is not covered by any guarantee. Give constants, or "
            "move the work into preprocessing_fn, whose analyzers the guarantee names."
        )

    __iter__ = __getitem__ = __len__ = __bool__ = __add__ = __radd__ = _refuse

    def __getattr__(self, name: str) -> Any:
        return self._refuse()


def _without_records(fn_args: Any, function: str = "model_fn") -> Any:
    """FnArgs for a function of the module, by default `model_fn`: without the ways to the records."""
    withheld = copy.copy(fn_args)
    for name in ("train_files", "eval_files", "data_accessor"):
        setattr(withheld, name, _Withheld(function, name))
    return withheld


def distribution_strategy(exec_properties: dict[str, Any]) -> Any:
    """The tf.distribute strategy that was asked for, or None.

    Raises:
      ParameterError: If its name is unknown.
    """
    name = exec_properties.get(DISTRIBUTION_KEY) or "none"
    _validate.one_of(DISTRIBUTIONS, distribution=name)
    return tf.distribute.MirroredStrategy() if name == "mirrored" else None


def read_parameters(exec_properties: dict[str, Any]) -> DPParameters:
    """The privacy parameters, with `target_epsilon` replaced where it was given by itself.

    Raises:
      ParameterError: If they break a rule.
    """
    privacy = DPParameters.from_json(exec_properties[PRIVACY_KEY])
    if privacy.target_delta is None:
        raise ParameterError("target_delta is not set. Choose one below 1 / number of records, e.g. 1e-6.")
    replacement = exec_properties.get(TARGET_EPSILON_KEY)
    return privacy if replacement is None else dataclasses.replace(privacy, target_epsilon=replacement)


def read_account(exec_properties: dict[str, Any], privacy: DPParameters) -> Account | None:
    """Whose budget the run is charged to; None without a ledger.

    Raises:
      ParameterError: As `check_account`.
    """
    return _paying(accounts.read(exec_properties), privacy)


def check_account(
    ledger: str | None, dataset_id: str | None, dataset_blocks: Sequence[str], privacy: DPParameters
) -> Account | None:
    """Checks the arguments that name a budget.

    Raises:
      ParameterError: If the ledger's address itself is given, the ledger or the dataset is missing, a name is not
        valid, or privacy is off.
    """
    return _paying(accounts.check(ledger, dataset_id, dataset_blocks), privacy)


def _paying(account: Account | None, privacy: DPParameters) -> Account | None:
    if account is not None and not privacy.enabled:
        raise ParameterError(
            "enabled=False trains without privacy, and no budget pays for an infinite epsilon. Leave out ledger and "
            "dataset_id for such a run."
        )
    return account


def train_splits(input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]) -> list[str]:
    """The splits to train on, each of which the examples have.

    Raises:
      ParameterError: If a split is unknown or named twice.
    """
    arguments = trainer_pb2.TrainArgs()
    proto_utils.json_to_proto(exec_properties["train_args"], arguments)
    return _known_splits(input_dict, list(arguments.splits) or ["train"])


def without_held_out(input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]) -> dict[str, Any]:
    """Execution properties with which TFX looks for no split called "eval", where nobody asked for one and there is none.

    Raises:
      ParameterError: If eval_args names a split that is unknown.
    """
    arguments = trainer_pb2.EvalArgs()
    proto_utils.json_to_proto(exec_properties["eval_args"], arguments)
    if arguments.splits:
        _known_splits(input_dict, list(arguments.splits))
        return exec_properties
    present = [artifact_utils.decode_split_names(artifact.split_names) for artifact in input_dict[keys.EXAMPLES]]
    if all("eval" in splits for splits in present):
        return exec_properties
    arguments.splits.extend(train_splits(input_dict, exec_properties))
    return {**exec_properties, "eval_args": proto_utils.proto_to_json(arguments)}


def eval_splits(
    input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any], trained_on: list[str]
) -> list[str]:
    """The splits whose records the model does not see, each of which the examples have.

    Raises:
      ParameterError: If a split is unknown, named twice, or trained on.
    """
    arguments = trainer_pb2.EvalArgs()
    proto_utils.json_to_proto(exec_properties["eval_args"], arguments)
    wanted = _known_splits(input_dict, list(arguments.splits) or ["eval"])
    both = sorted(set(wanted) & set(trained_on))
    if both:
        raise ParameterError(
            f"Split {both[0]!r} is trained on, and cannot be records that the model does not see. Set eval_args to "
            "other splits."
        )
    return wanted


def _known_splits(input_dict: dict[str, list[types.Artifact]], wanted: list[str]) -> list[str]:
    for artifact in input_dict[keys.EXAMPLES]:
        present = sorted(artifact_utils.decode_split_names(artifact.split_names))
        for split in wanted:
            if split not in present:
                raise ParameterError(
                    f"Unknown split {split!r}. The examples artifact has splits: {', '.join(present)}."
                )
    if len(set(wanted)) != len(wanted):
        raise ParameterError(f"Splits {wanted} name one split twice; its records would be drawn twice.")
    return wanted


def num_reference_models(exec_properties: dict[str, Any], input_fn: Callable[..., Any] | None) -> int:
    """How many reference models to train.

    Raises:
      ParameterError: If that is no even number up to 128, or the records cannot be found again.
    """
    number = records_of_references.check_num_models(reference_models=exec_properties.get(NUM_REFERENCE_MODELS_KEY) or 0)
    if number and input_fn is not None:
        raise ParameterError(
            f"reference_models={number} is not supported with input_fn: the attack could not reproduce its record "
            "keys. Move its work into preprocessing_fn, or set reference_models=0."
        )
    return number


def check_num_attacks(**kwargs: Any) -> int:
    """Returns how often to attack during training: 0, or a whole number up to 1000.

    Raises:
      ParameterError: If it is something else; the message names the parameter.
    """
    ((_, value),) = kwargs.items()
    if value == 0 and not isinstance(value, bool):
        return 0
    return _validate.positive_integer("Or 0 for none.", maximum=_MAX_ATTACKS, **kwargs)


def user_function(exec_properties: dict[str, Any], name: str) -> Any:
    """A function (or a constant, such as LABEL_KEY) of the user's module; None where it has none of that name."""
    try:
        return udf_utils.get_fn(exec_properties, name)
    except AttributeError as error:
        if error.name != name:
            raise  # a mistake inside the module, not a function that it lacks
        return None


def label_keys(
    exec_properties: dict[str, Any], input_fn: Callable[..., Any] | None
) -> tuple[str | None, Mapping[str, str]]:
    """The label's name, by the argument or else by the module's LABEL_KEY; and names by output, if it gives these.

    Raises:
      ParameterError: If LABEL_KEY is neither, or has names by output and there is no input_fn that gives labels by them.
    """
    found = exec_properties.get(keys.LABEL_KEY) or user_function(exec_properties, "LABEL_KEY")
    if found is None or isinstance(found, str):
        return found, {}
    if not (isinstance(found, dict) and all(isinstance(name, str) for pair in found.items() for name in pair)):
        raise ParameterError(
            f"Expected LABEL_KEY={found!r} to be the label's name, or labels' names by the names of the model's outputs."
        )
    if input_fn is None:
        raise ParameterError(
            f"LABEL_KEY={found!r} names labels by output, and DPTrainer's own reader gives one label. Give an input_fn "
            "whose labels are a dict by output name."
        )
    return None, found


def required_function(exec_properties: dict[str, Any], name: str) -> Callable[..., Any]:
    """A function of the user's module.

    Raises:
      ParameterError: If the module has none of that name.
    """
    function: Callable[..., Any] | None = user_function(exec_properties, name)
    if function is None:
        hint = ""
        if user_function(exec_properties, "run_fn") is not None:
            hint = (
                " It has a run_fn, which DPTrainer does not run: a function that reads the records and trains by "
                "itself leaves nothing to guarantee. Move the making of the compiled model into model_fn, reading into "
                "input_fn and signatures into signatures_fn; `tfx-privacy migrate` proposes it."
            )
        raise ParameterError(f"The module has no function {name!r}. {name}(fn_args) is required.{hint}")
    return function
