"""Measures what one training step costs, variant against variant.

`python -m benchmarks.step --workload W1 --batch-size 256 --rounds 7`, from the root of the repository.
`benchmarks/README.md` says what the numbers mean, and what they do not.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import platform
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import measurement, table
from benchmarks.measurement import Outcome
from benchmarks.processes import Host
from benchmarks.variants import VARIANTS, Setting
from benchmarks.workloads import WORKLOADS

_GIGABYTE = 10**9


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and prints a table."""
    options = _parser().parse_args(arguments)
    setting = Setting(options.workload, options.batch_size, keras=options.keras)
    outcomes = [Outcome(variant) for variant in _with_divisors(options)]
    circumstances = _circumstances(options)
    _measure(outcomes, setting, options)
    circumstances["load_after"] = os.getloadavg()[0]
    print(_report(outcomes, circumstances, options))
    if options.json:
        _write_json(options.json, outcomes, setting, circumstances)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=__doc__.split("\n")[0])
    parser.add_argument("--workload", choices=sorted(WORKLOADS), required=True, help="model and data")
    parser.add_argument("--batch-size", type=_positive, default=256, help="examples per step")
    parser.add_argument("--rounds", type=int, default=7, help="samples per variant; 0 measures memory alone")
    parser.add_argument("--variants", type=_names, default=VARIANTS, help="comma-separated; by default all of them")
    divisors = "variants to give ratios to; measured even where --variants leaves them out"
    parser.add_argument("--divisors", type=_names, default=("np_step", "np_fit"), help=divisors)
    parser.add_argument("--memory", action="store_true", help="peak memory too, each variant in a fresh process")
    parser.add_argument("--keras", choices=("tf_keras", "keras"), default="tf_keras", help="Keras 2 or Keras 3 models")
    parser.add_argument(
        "--opacus-python", default=sys.executable, metavar="PATH", help="a Python with torch and opacus"
    )
    parser.add_argument(
        "--jax-python", default=sys.executable, metavar="PATH", help="a Python with jax and jax_privacy"
    )
    core = max(os.sched_getaffinity(0))
    parser.add_argument("--core", type=int, default=core, help="processor the workers are pinned to")
    parser.add_argument("--sample-seconds", type=float, default=0.3, help="processor time of one sample")
    parser.add_argument("--answer-seconds", type=float, default=240, help="time limit of preparing, and of one sample")
    parser.add_argument("--memory-limit-gb", type=float, default=10, help="of one worker's allocations")
    parser.add_argument("--json", type=pathlib.Path, metavar="OUT", help="file for every sample")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected {number} >= 1")
    return number


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are: {', '.join(VARIANTS)}")
    return names


def _with_divisors(options: argparse.Namespace) -> list[str]:
    return list(dict.fromkeys([*options.divisors, *options.variants]))


def _measure(outcomes: Sequence[Outcome], setting: Setting, options: argparse.Namespace) -> None:
    host = Host(
        interpreters={"tensorflow": sys.executable, "opacus": options.opacus_python, "jax": options.jax_python},
        core=options.core,
        keras=options.keras,
        answer_seconds=options.answer_seconds,
        memory_limit_bytes=int(options.memory_limit_gb * _GIGABYTE),
    )
    if options.rounds:
        measurement.time_variants(
            outcomes, setting, host, rounds=options.rounds, sample_seconds=options.sample_seconds, report=_say
        )
    if options.memory:
        for outcome in outcomes:
            _say(f"weighing {outcome.variant}")
            measurement.weigh_variant(outcome, setting, host)


def _say(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


def _circumstances(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "processor": _processor(),
        "core": options.core,
        "rounds": options.rounds,
        "sample_seconds": options.sample_seconds,
        "load_before": os.getloadavg()[0],
    }


def _processor() -> str:
    """The processor's name, so numbers of different machines are not put side by side."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _report(outcomes: Sequence[Outcome], circumstances: dict[str, Any], options: argparse.Namespace) -> str:
    load = f"load {circumstances['load_before']:.1f} before, {circumstances['load_after']:.1f} after"
    title = WORKLOADS[options.workload].title
    versions = {name: version for outcome in outcomes for name, version in outcome.versions.items()}
    lines = [
        f"### {options.workload} ({title}), batch {options.batch_size}, {options.rounds} rounds",
        f"{circumstances['processor']}, core {options.core}, one thread; {load}",
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        "",
        table.render(outcomes, batch_size=options.batch_size, divisors=options.divisors, with_memory=options.memory),
    ]
    sizes = measurement.different_sizes(outcomes)
    if sizes:
        lines += ["", f"NOT COMPARABLE: the models differ in their number of parameters: {sizes}"]
    return "\n".join(lines)


def _write_json(
    path: pathlib.Path, outcomes: Sequence[Outcome], setting: Setting, circumstances: dict[str, Any]
) -> None:
    content = {
        "setting": dataclasses.asdict(setting),
        "circumstances": circumstances,
        "outcomes": [dataclasses.asdict(outcome) for outcome in outcomes],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
