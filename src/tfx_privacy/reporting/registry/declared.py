"""What only a person can say of a deployment: who publishes the model, what for, and where."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Sequence
from typing import Any

from tfx_privacy._printable import is_blank
from tfx_privacy.errors import ParameterError

PLACEHOLDER = "FILL IN"
"""How each text begins that a person is to write."""
SECTORS = ("Technology", "Healthcare", "Education", "Government", "Energy", "Finance")
"""That the registry knows."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_WANTED = {
    "deployment_name": "the model's name",
    "curator": "who publishes the model",
    "description": "what the model predicts, of whom",
    "intended_use": "what the model is to be used for",
    "region": "whom the data describe, or whose laws apply",
    "registry_author": "who writes this entry",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Declared:
    """A person's part of an entry; None and nothing where nobody said it."""

    deployment_name: str | None = None
    curator: Sequence[str] = ()
    description: str | None = None
    intended_use: str | None = None
    region: str | None = None
    sector: str | None = None
    publication_date: str | None = None
    """YYYY-MM-DD; without it the day on which the model was trained."""
    source: Sequence[str] = ()
    registry_author: Sequence[str] = ()
    slug: str | None = None
    """Of the entry's address; made of name, first curator and year without it."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            for text in [value] if isinstance(value, str) else value or ():
                if is_blank(text):
                    raise ParameterError(f"Expected {field.name}={text!r} to say something. Leave it out, or write it.")
        if self.publication_date is not None:
            _check_date(self.publication_date)
        if self.sector is not None and self.sector not in SECTORS:
            raise ParameterError(f"Expected sector={self.sector!r} to be one of {', '.join(SECTORS)}.")

    @property
    def missing(self) -> list[str]:
        """Fields that every entry has, and that nobody said."""
        return [name for name in _WANTED if not getattr(self, name)]

    def said(self, name: str) -> Any:
        """A field, or the placeholder of what is wanted there."""
        value = getattr(self, name)
        if value:
            return value if isinstance(value, str) else list(value)
        wanted = f"{PLACEHOLDER}: {_WANTED[name]}"
        return wanted if value is None else [wanted]

    def slug_of(self, year: str) -> str:
        """Of the entry's address, as the registry makes them: name, curator and year."""
        if self.slug is not None:
            return self.slug
        words = [self.deployment_name or PLACEHOLDER, (self.curator or [PLACEHOLDER])[0], year]
        return "-".join(re.sub(r"\W+", "-", word.lower()).strip("-") for word in words)


def _check_date(text: str) -> None:
    try:
        if _DATE.fullmatch(text):
            datetime.date.fromisoformat(text)
            return
    except ValueError:
        pass
    raise ParameterError(f"Expected publication_date={text!r} to be a day as YYYY-MM-DD; month and day may be 01.")
