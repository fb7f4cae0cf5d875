"""Rules on releases: what preprocessing and statistics spent upstream is in the model's epsilon, and is of its records."""

from __future__ import annotations

from collections.abc import Iterator

from tfx.types import channel as channels
from tfx.types.standard_artifacts import Examples, Schema, TransformGraph

from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.components import accounts, keys, releasing
from tfx_privacy.components.artifacts import PrivacyRelease
from tfx_privacy.components.dp_trainer import request
from tfx_privacy.errors import ParameterError
from tfx_privacy.pipelines.lint import data, roles
from tfx_privacy.pipelines.lint.finding import Finder, Finding, describe_origin
from tfx_privacy.pipelines.lint.graph import Graph, Node, Output, all_inputs, inputs_of_type, is_a, origin_of, reached
from tfx_privacy.releases.parameters import DPPreprocessing

_MISSING, _OTHERS, _TERMS = "release-not-in-epsilon", "release-of-other-examples", "release-on-other-terms"
# What a guarantee says of its run and the gate compares with each release's.
_SAME = ("privacy_unit", "neighboring_relation")
_ACCOUNT = (keys.LEDGER, accounts.DATASET_ID_KEY, accounts.DATASET_BLOCKS_KEY)


def check_wired_releases(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields findings on a DPTrainer whose releases are not all that it must count, or not of its records and on its terms."""
    if not roles.is_dp_trainer(node):
        return
    found = Finder(graph, node)
    for maker, taken in _missing(graph, node).items():
        name = graph.name(maker)
        yield found.error(
            _MISSING,
            f"What it takes as {_listed(taken)} was made with what {name} released of the records, and that release is not "
            "among its privacy_releases: its epsilon is missing from the model's.",
            f"Add {name}'s outputs['privacy_release'] to privacy_releases.",
        )
    for key, channel in inputs_of_type(node, PrivacyRelease).items():
        origin = origin_of(channel)
        if not isinstance(origin, Output) or not roles.is_made_here(origin):
            yield found.warning(
                _OTHERS,
                f"It cannot be seen whether {key}, {describe_origin(graph, origin)}, is of the records that it trains on. The "
                "gate refuses a release of others.",
                "Wire the privacy_release of a node of this pipeline.",
            )
            continue
        yield from _other_examples(graph, node, origin.node, found)
        yield from _other_account(graph, node, origin.node, found)
        yield from _other_terms(graph, node, origin.node, found)


def check_unused_release(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields a finding on a release of the training's records that no DPTrainer counts, though none takes anything of it."""
    if not roles.gives_release(node):
        return
    trainers = [other for other in graph.nodes if roles.is_dp_trainer(other)]
    if any(node in counted(graph, other) or node in made_with(graph, other) for other in trainers):
        return
    for trainer in trainers:
        if data.share(data.sources(graph, node), data.sources(graph, trainer)):
            yield Finder(graph, node).warning(
                _MISSING,
                f"It releases something of the records that {graph.name(trainer)} is trained on, and no DPTrainer counts it: "
                "whoever sees both learns more of a record than the model's epsilon says.",
                f"Add its outputs['privacy_release'] to privacy_releases of {graph.name(trainer)}.",
            )
            return


def counted(graph: Graph, trainer: Node) -> set[Node]:
    """Whose releases may be among those that a DPTrainer counts."""
    wired = inputs_of_type(trainer, PrivacyRelease).values()
    return {maker for channel in wired for maker in graph.possible_producers(channel)}


def made_with(graph: Graph, trainer: Node) -> dict[Node, list[str]]:
    """Every node that had a part in what a DPTrainer learns from, and in which of its inputs.

    What stands before another DPTrainer is in that one's guarantee.
    """
    found: dict[Node, list[str]] = {}
    for key, channel in trainer.inputs.items():
        if any(is_a(channel, type_) for type_ in (Examples, Schema, TransformGraph)):
            for maker in _behind(graph, channel):
                found.setdefault(maker, []).append(key)
    return found


def _behind(graph: Graph, channel: channels.BaseChannel) -> dict[Node, None]:
    def makers(current: Node) -> Iterator[Node]:
        for taken in [] if roles.is_dp_trainer(current) else all_inputs(current):
            yield from graph.possible_producers(taken)

    return dict.fromkeys(node for first in graph.possible_producers(channel) for node in reached(first, makers))


def _missing(graph: Graph, trainer: Node) -> dict[Node, list[str]]:
    wired = counted(graph, trainer)
    return {
        maker: taken
        for maker, taken in made_with(graph, trainer).items()
        if roles.gives_release(maker) and maker not in wired
    }


def _other_examples(graph: Graph, trainer: Node, maker: Node, found: Finder) -> Iterator[Finding]:
    own, released = data.example_gens(graph, trainer), data.example_gens(graph, maker)
    name = graph.name(maker)
    remedy = f"Wire examples of one ExampleGen to both, or leave {name}'s release out."
    if None in own or None in released:
        yield found.warning(
            _OTHERS,
            f"It cannot be seen whether {name}, whose release it counts, reads the records that it trains on. The gate refuses "
            "a release of others.",
            remedy,
        )
    elif own != released:
        yield found.error(
            _OTHERS,
            f"It counts the release of {name}, which reads the examples of another ExampleGen: every model will be refused.",
            remedy,
        )


def _other_account(graph: Graph, trainer: Node, maker: Node, found: Finder) -> Iterator[Finding]:
    name = graph.name(maker)
    differing = [
        f"{key}={trainer.exec_properties.get(key)!r} here, and {maker.exec_properties.get(key)!r} there"
        for key in _ACCOUNT
        if (trainer.exec_properties.get(key) or None) != (maker.exec_properties.get(key) or None)
    ]
    if differing:
        yield found.error(
            "ledger-mismatch",
            f"It counts the release of {name}, which is charged to another budget: {'; '.join(differing)}. The training will be "
            "refused.",
            f"Give {name} and {graph.name(trainer)} the same ledger, dataset_id and dataset_blocks.",
        )


def _other_terms(graph: Graph, trainer: Node, maker: Node, found: Finder) -> Iterator[Finding]:
    name = graph.name(maker)
    try:
        own = DPParameters.from_json(trainer.exec_properties.get(request.PRIVACY_KEY))
        released = DPPreprocessing.from_json(maker.exec_properties.get(releasing.PRIVACY_KEY))
    except (ParameterError, TypeError):
        return  # known at run time alone
    differing = [
        f"{term} is {getattr(own, term)!r} here, and {getattr(released, term)!r} there"
        for term in _SAME
        if own.enabled and getattr(own, term) != getattr(released, term)
    ]
    if differing:
        yield found.error(
            _TERMS,
            f"It counts the release of {name}, which promises something else: {'; '.join(differing)}. The training will be "
            "refused.",
            f"Give privacy of {name} and of {graph.name(trainer)} the same {' and '.join(_SAME)}.",
        )
    elif own.privacy_unit == "user" and own.user_id_key != released.user_id_key:
        yield found.error(
            _TERMS,
            f"It tells users apart by {own.user_id_key!r}, and {name}, whose release it counts, by {released.user_id_key!r}: "
            "these are not known to be the same people, and the training will be refused.",
            "Use one feature for both, which preprocessing_fn hands on under its name.",
        )


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
