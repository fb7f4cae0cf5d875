"""How often honest projects keep the limits of their policies: `python -m benchmarks.harmless_models --help`.

Copies each template anew, runs it as its README says, and counts what is blessed. Every run draws its own noise.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import shutil
import statistics
import sys
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from click.testing import CliRunner
from project_zygote import Zygote

from tfx_privacy import cli

TEMPLATES = ("tabular", "image", "text")
FOLDER = ROOT / ".cache" / "benchmarks" / "harmless_models"


def main(argv: Sequence[str] | None = None) -> None:
    """Prints, for each template, how many of its models were blessed, and why the others were not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10, help="trainings of each template")
    parser.add_argument("--templates", nargs="+", choices=TEMPLATES, default=TEMPLATES)
    options = parser.parse_args(argv)
    zygote = Zygote()
    try:
        for template in options.templates:
            found = [run(zygote, template, index) for index in range(options.models)]
            print(f"{template}: {sum(each.startswith('BLESSED') for each, _ in found)} of {len(found)} blessed", end="")
            bounds = [auc for _, auc in found]
            print(f"; attack AUC {statistics.median(bounds):.3f} ({min(bounds):.3f}-{max(bounds):.3f})", flush=True)
            for each, _ in found:
                if not each.startswith("BLESSED"):
                    print(f"  {each}", flush=True)
    finally:
        zygote.close()


def run(zygote: Zygote, template: str, index: int) -> tuple[str, float]:
    """The verdict of one project with its message, and the AUC of its strongest attack."""
    folder = FOLDER / f"{template}-{index}"
    shutil.rmtree(folder, ignore_errors=True)
    arguments = ["--model", template, "--pipeline-name", "harmless", "--destination-path", str(folder)]
    CliRunner().invoke(cli.cli, ["template", "copy", *arguments], catch_exceptions=False)
    environ = {name: value for name, value in os.environ.items() if name != "TFX_PRIVACY_LEDGER"}
    log = folder / "printed.log"
    log.touch()
    code = zygote.run("local_runner.py", cwd=folder, environ=environ, log=log)
    printed = log.read_text()
    verdict = re.search(r"^(NOT )?BLESSED\. .*$", printed, re.MULTILINE)
    auc = re.search(r"^strongest attack .*?(\d\.\d+)", printed, re.MULTILINE)
    if code or verdict is None or auc is None:
        raise SystemExit(f"{folder}: exit code {code}, see {log}.")
    return verdict.group(), float(auc.group(1))


if __name__ == "__main__":
    main()
