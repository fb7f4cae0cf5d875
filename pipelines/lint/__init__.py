"""The lint: finds wiring that bypasses the gate before a pipeline runs. docs/lint.md explains every rule."""

from tfx_privacy.pipelines.lint.check import check as check
from tfx_privacy.pipelines.lint.check import require as require
from tfx_privacy.pipelines.lint.finding import ERROR as ERROR
from tfx_privacy.pipelines.lint.finding import RUNNERS as RUNNERS
from tfx_privacy.pipelines.lint.finding import WARNING as WARNING
from tfx_privacy.pipelines.lint.finding import Finding as Finding

__all__ = ["ERROR", "RUNNERS", "WARNING", "Finding", "check", "require"]
