"""Every error that tfx-privacy raises on purpose.

::

    TFXPrivacyError
    ├── ParameterError      a parameter breaks a rule (also a ValueError)
    ├── ModelError          the Keras model cannot be trained privately (also a ValueError)
    ├── DataError           the examples cannot be used as they are (also a ValueError)
    ├── AccountingError     an accountant gave no usable number
    ├── CheckpointError     a killed run cannot be resumed from what is there
    ├── EvidenceError       a guarantee, evaluation or blessing is missing, malformed or foreign
    ├── LedgerError         the budget ledger cannot be used, or refuses
    │   └── BudgetError     a dataset's budget does not suffice
    └── InternalError       a bug in tfx-privacy
"""

from __future__ import annotations

from tfx_privacy._printable import printable


class TFXPrivacyError(Exception):
    """Base class of all errors of this package; its text may quote what others wrote, and is always printable."""

    def __str__(self) -> str:
        return printable(super().__str__(), lines=True)


class ParameterError(TFXPrivacyError, ValueError):
    """A parameter breaks a rule; the message names the value, the rule and what to do."""


class ModelError(TFXPrivacyError, ValueError):
    """The model cannot be trained with a true guarantee; the message names the layer."""


class DataError(TFXPrivacyError, ValueError):
    """The examples cannot be used; the message never quotes a record."""


class AccountingError(TFXPrivacyError):
    """An accountant gave no finite, plausible epsilon."""


class CheckpointError(TFXPrivacyError):
    """The checkpoints are of another run, in use, or damaged; nothing was trained."""


class EvidenceError(TFXPrivacyError):
    """A guarantee, evaluation or blessing is missing, malformed, stale or foreign."""


class LedgerError(TFXPrivacyError):
    """The budget ledger cannot be reached, is damaged, or refuses what it was asked; nothing was charged by this request."""


class BudgetError(LedgerError):
    """A dataset's budget does not suffice; the message says what is left, and what would fit."""


class InternalError(TFXPrivacyError):
    """A broken invariant of tfx-privacy itself."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} This is a bug in tfx-privacy; please report it with the text above.")
