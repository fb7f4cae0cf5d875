"""Puts an entry together, and writes it as YAML.

An entry that is of no private deployment says so in its name, and has neither a variant of differential privacy nor its
parameters: nobody who reads those fields alone takes it for one.
"""

from __future__ import annotations

import datetime
import math
from typing import Any

import yaml

from tfx_privacy.errors import EvidenceError, InternalError, ParameterError
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.records.base import parse_time
from tfx_privacy.reporting import uses, wording
from tfx_privacy.reporting.markdown import escaped
from tfx_privacy.reporting.registry import texts
from tfx_privacy.reporting.registry.basis import Basis
from tfx_privacy.reporting.registry.declared import PLACEHOLDER, Declared

_HEADER = """\
# A draft of an entry of the Differential Privacy Deployments Registry,
# https://github.com/opendp/deployments-registry-data, from the evidence of a pipeline.
# Texts that begin with "{placeholder}" are for a person to write.
"""
# Of a text that is not broken.
_WIDTH = 110


def build(found: Basis, declared: Declared) -> dict[str, Any]:
    """The entry as values of YAML, in the schema's order.

    Args:
      found: The evidence.
      declared: What a person said.

    Raises:
      ParameterError: If neither says a day.
    """
    is_private = not found.objections
    date = declared.publication_date or _day(found)
    deployment: dict[str, Any] = {
        "basic": _basic(found, declared, date),
        "dp_variant": _variant(found),
        "privacy_loss": _privacy_loss(found),
    }
    if is_private:
        deployment["deployment_model"] = _deployment_model(found)
    deployment["accounting"] = {
        "post_processing": escaped(uses.RELEASED) if is_private else "None: nothing is protected.",
        "composition": texts.composition(found),
    }
    deployment["implementation"] = {
        "preprocessing_and_hyperparameter_tuning": texts.before_training(found),
        "mechanisms": texts.mechanisms(found),
    }
    deployment["administrative"] = _administrative(found, declared)
    return {
        "url_slug": declared.slug_of(date[:4]),
        "status": "Draft",
        "tier": 2 if is_private else 1,
        "deployment": deployment,
    }


def to_yaml(entry: dict[str, Any]) -> str:
    """The entry as YAML, every number with all its digits."""
    text = yaml.dump(entry, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return _HEADER.format(placeholder=PLACEHOLDER) + text


def _basic(found: Basis, declared: Declared, date: str) -> dict[str, Any]:
    basic = {
        "name": ": ".join([", ".join(found.objections), declared.said("deployment_name")]).removeprefix(": "),
        "data_curators": declared.said("curator"),
        "intended_use": declared.said("intended_use"),
        "data_product_type": "Machine learning model",
        "data_product_region": declared.said("region"),
        "description": f"{declared.said('description')}\n\n{texts.description(found)}".strip(),
        "publication_date": date,
    }
    if declared.sector is not None:
        basic["data_product_sector"] = declared.sector
    return basic


def _day(found: Basis) -> str:
    """On which the model was made; the registry takes the day of creation where there is no other."""
    record, verdict = found.guarantee, found.verdict
    made = record.issued_at if record is not None else "" if verdict is None else verdict.decided_at
    try:
        return parse_time(made).astimezone(datetime.timezone.utc).strftime("%Y-%m-%d")
    except EvidenceError as error:
        raise ParameterError(f"When the model was made is not known: {error} Give publication_date.") from error


def _variant(found: Basis) -> dict[str, str]:
    variant = {"unprotected_quantities": texts.unprotected(found)}
    record = found.guarantee
    if found.objections or record is None:
        return variant
    units = "records" if record.privacy_unit == "example" else "users"
    number = f"{record.population.records} {units}, {record.population.source}"
    domain = escaped(
        f"Any set of records of which the splits {', '.join(record.train_splits)} are made; here {number}."
    )
    return {"variant_name": "Approximate DP", "data_domain": domain, **variant}


def _privacy_loss(found: Basis) -> dict[str, Any]:
    details = {"privacy_parameters_details": texts.parameters(found)}
    if found.objections or found.bounded is None:
        return details
    record, epsilon = found.bounded
    return {
        "privacy_unit": _unit(record),
        "privacy_unit_details": texts.adjacent(record),
        "privacy_parameters": {"epsilon": _finite(epsilon), "delta": _finite(record.target_delta)},
        **details,
    }


def _unit(record: PrivacyGuarantee) -> str:
    text = wording.unit(record)
    return text[:1].upper() + text[1:]


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise InternalError(f"{number!r} is no parameter of a private deployment.")
    return float(number)


def _deployment_model(found: Basis) -> dict[str, str]:
    return {
        "model_name": "Central",
        "actors": escaped(found.answers["Trust and threat model"]),
        "release_type": "One release",
        "release_type_details": escaped(
            f"This entry is of one model. {found.answers['Loss over all releases']} Whether later models are to be published "
            "no record of the pipeline says."
        ),
        "access_type": "Non-interactive",
        "access_type_details": "Nobody queries the records: whoever has the model sees what it answers.",
    }


def _administrative(found: Basis, declared: Declared) -> dict[str, Any]:
    part: dict[str, Any] = {}
    if declared.source:
        part["sources"] = "\n".join(f"- {source}" for source in declared.source)
    return {**part, "notes": texts.notes(found), "registry_authors": declared.said("registry_author")}


class _Dumper(yaml.SafeDumper):
    """Texts of several lines stand as they are read."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
