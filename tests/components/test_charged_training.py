import dataclasses
import gzip
import pathlib
from typing import Any

import artifacts_on_disk as disk
import pytest
from ledgers import BUDGET, DATASET, new_ledger, open_ledger
from trainer_bench import INPUT_FN, MODULE, PRIVATE, Bench

from tfx_privacy import DPParameters
from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.errors import (
    AccountingError,
    BudgetError,
    DataError,
    LedgerError,
    ModelError,
    ParameterError,
)
from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.record import FILE_NAME, Population, guarantee_digest
from tfx_privacy.ledger import Ledger, read_runs

pytestmark = pytest.mark.slow

DECLARED = dataclasses.replace(PRIVATE, population=300)
CHARGED: dict[str, Any] = {"ledger": "env:TFX_PRIVACY_LEDGER", "dataset_id": DATASET}
ENOUGH = 20.0
PASSWORD = "not-a-secret"


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path / "bench")


@pytest.fixture
def address(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    address = f"sqlite:///{tmp_path}/ledger.db"
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", address)
    return address


@pytest.fixture
def ledger(address: str) -> Ledger:
    return new_ledger(address, epsilon=ENOUGH)


def states(ledger: Ledger) -> list[str]:
    return [run.state for run in ledger.verify().datasets[DATASET].runs.values()]


def test_a_run_is_charged_and_its_guarantee_says_where(
    bench: Bench, ledger_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", ledger_address)
    ledger = new_ledger(ledger_address)
    record = bench.run(DECLARED, **CHARGED)
    found = read_runs("env:TFX_PRIVACY_LEDGER", [record.run_id])[record.run_id]
    assert record.dataset_id == DATASET
    assert record.ledger is not None
    assert (found.state, found.purpose, found.blocks) == ("COMMITTED", "model", [])
    assert (found.sequence, found.entry_hash) == (record.ledger.sequence, record.ledger.entry_hash)
    assert (found.model_digest, found.guarantee_digest) == (record.model_digest, guarantee_digest(record))
    assert isinstance(record.mechanism, DPMechanism)
    assert found.planned == PlannedRun.of_event(record.mechanism.event)
    assert f"dataset '{DATASET}'" in record.statement
    assert "No budget ledger" not in record.statement
    assert [entry.body.kind for entry in ledger.log(DATASET)] == ["register", "reserve", "start", "commit"]


def test_without_a_ledger_the_guarantee_says_so(bench: Bench) -> None:
    record = bench.run()
    assert (record.ledger, record.dataset_id) == (None, None)
    assert "No budget ledger was used" in record.statement


def test_a_run_beyond_the_budget_reads_nothing(bench: Bench, address: str) -> None:
    ledger = new_ledger(address, epsilon=0.6)
    for file in bench.root.glob("examples/**/*.gz"):
        file.write_bytes(gzip.compress(b""))  # reading would fail otherwise than by the budget
    with pytest.raises(BudgetError, match=r"is left .* noise_multiplier of at least"):
        bench.run(DECLARED, **CHARGED)
    assert states(ledger) == []


def test_what_the_refusal_names_fits(bench: Bench, address: str) -> None:
    ledger = new_ledger(address, epsilon=0.6)
    with pytest.raises(BudgetError) as refusal:
        bench.run(DECLARED, **CHARGED)
    noise = float(str(refusal.value).split("noise_multiplier of at least ")[1].split()[0])
    bench.run(dataclasses.replace(DECLARED, noise_multiplier=noise), **CHARGED)
    assert states(ledger) == ["COMMITTED"]


def test_the_population_comes_from_the_ledger(bench: Bench, address: str) -> None:
    new_ledger(address, population=300, delta=1e-4)
    record = bench.run(PRIVATE, **CHARGED)
    assert record.population == Population(records=300, source="declared")


def test_a_plan_that_needs_the_data_is_refused_before_it_is_read(bench: Bench, ledger: Ledger) -> None:
    with pytest.raises(ParameterError, match="Declare population"):
        bench.run(PRIVATE, **CHARGED)
    assert states(ledger) == []


def test_a_model_that_cannot_be_built_costs_nothing(bench: Bench, ledger: Ledger) -> None:
    bench.module(MODULE.replace("model.compile('adam', 'binary_crossentropy')", "raise ValueError('mistake')"))
    with pytest.raises(ValueError, match="mistake"):
        bench.run(DECLARED, **CHARGED)
    assert states(ledger) == []


def test_a_run_that_fails_stays_charged_and_the_next_one_pays_again(bench: Bench, ledger: Ledger) -> None:
    good = bench.inputs["examples"]
    without_labels = [
        {"features": record["features"], "group": record["group"]} for record in disk.make_records(200, 1)
    ]
    bench.examples(without_labels, without_labels[:50])
    with pytest.raises(DataError, match="label"):
        bench.run(DECLARED, **CHARGED)
    assert states(ledger) == ["STARTED"]
    bench.inputs["examples"] = good
    bench.run(DECLARED, **CHARGED)
    assert states(ledger) == ["STARTED", "COMMITTED"]
    dataset = ledger.dataset(DATASET)
    runs = ledger.verify().datasets[DATASET].runs.values()
    assert dataset.blocks[""].charged == sum(run.cost for run in runs)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"ledger": "env:TFX_PRIVACY_LEDGER"}, "dataset_id is not set"),
        ({"dataset_id": DATASET}, "there is no ledger"),
        ({"ledger": "sqlite:////tmp/ledger.db", "dataset_id": DATASET}, "must not be given"),
        ({**CHARGED, "dataset_id": "Trips of 2024"}, "lower-case"),
        ({**CHARGED, "dataset_id": "others"}, "not registered"),
        ({**CHARGED, "dataset_blocks": '["2024"]'}, "no block '2024'"),
        ({**CHARGED, "ledger": "env:NOWHERE"}, "NOWHERE is not set"),
    ],
)
def test_what_cannot_be_charged_is_not_trained(
    bench: Bench, ledger: Ledger, properties: dict[str, str], message: str
) -> None:
    with pytest.raises((ParameterError, LedgerError), match=message):
        bench.run(DECLARED, **properties)
    assert states(ledger) == []


UNSTATABLE: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "label": ({}, {"label_key": "nothing"}, "Unknown label_key='nothing'"),
    "users": (
        {"privacy_unit": "user", "user_id_key": "nobody", "max_records_per_user": 3}, {}, "Unknown user_id_key='nobody'",
    ),
    "adaptive clip": ({"clipping": "adaptive", "clip_count_noise": 0.4}, {}, "alone spends"),
    "too many steps": ({"epochs": None, "steps": 1_000_000}, {"num_reference_models": 128}, "take 65000000 steps"),
    "no population": (
        {"population": None, "expected_batch_size": None, "sampling_probability": 0.1, "epochs": None, "steps": 3}, {},
        "Declare population",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("privacy", "properties", "message"), UNSTATABLE.values(), ids=UNSTATABLE)
def test_what_could_not_be_stated_afterwards_is_not_charged(
    bench: Bench, ledger: Ledger, privacy: dict[str, Any], properties: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        bench.run(dataclasses.replace(DECLARED, **privacy), **CHARGED, **properties)
    assert states(ledger) == []


def test_accountants_that_fail_or_lie_are_found_before_the_charge(
    bench: Bench, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfx_privacy.accounting import epsilon as accounting

    found: list[Any] = []

    class Accountant:
        def compose(self, event: Any) -> Any:
            return self

        def get_epsilon(self, delta: float) -> Any:
            return found[-1]

    monkeypatch.setattr(accounting, "_rdp_accountant", Accountant)
    monkeypatch.setattr(accounting, "_pld_accountant", lambda interval: Accountant())
    for answer, message in ((float("nan"), "answered epsilon=nan"), (0.01, "an attack shows at least")):
        found.append(answer)
        accounting.epsilon_bounds.cache_clear()
        with pytest.raises(AccountingError, match=message):
            bench.run(DECLARED, **CHARGED)
    accounting.epsilon_bounds.cache_clear()
    assert states(ledger) == []


LAYERS = "tf.keras.layers.Dense(1, 'sigmoid')(tf.keras.layers.Dense(8, 'relu')(features))"
REFUSED = {
    "mixes records": (LAYERS, "tf.keras.layers.Dense(1)(tf.keras.layers.BatchNormalization()(features))"),
    "legacy optimizer": ("'adam'", "tf.keras.optimizers.legacy.Adam()"),
    "other optimizer": ("'adam'", "'nadam'"),
    "not compiled": ("model.compile('adam', 'binary_crossentropy')", "pass"),
    "nothing to train": (LAYERS, "tf.keras.layers.Dense(1, trainable=False)(features)"),
    "ranking": ("'binary_crossentropy'", "lambda y, p: tf.reduce_mean(tf.nn.relu(1. - (p - tf.transpose(p))))"),
    "two outputs": ("tf.keras.Model({'features': features}, outputs)", "tf.keras.Model({'features': features}, [outputs] * 2)"),
    "keeps what it sees": (
        LAYERS,
        "tf.keras.layers.Dense(1)(tf.keras.layers.Lambda(lambda x: [SEEN.assign(x[0]), x][1])(features))",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), REFUSED.values(), ids=REFUSED.keys())
def test_a_model_that_cannot_be_trained_costs_nothing(bench: Bench, ledger: Ledger, old: str, new: str) -> None:
    assert old in MODULE
    bench.module(MODULE.replace(old, new).replace("LABEL_KEY", "SEEN = tf.Variable(tf.zeros(4))\nLABEL_KEY"))
    with pytest.raises(ModelError, match="cannot be trained with a true guarantee"):
        bench.run(DECLARED, **CHARGED)
    assert states(ledger) == []


def test_a_model_for_the_records_of_an_input_fn_costs_nothing_either(bench: Bench, ledger: Ledger) -> None:
    """Its dataset says what it gives before it gives anything."""
    reader = INPUT_FN.replace("RESULT", "parsed, label").replace("SUFFIX", "")
    bench.module(MODULE.replace(LAYERS, "tf.keras.layers.Dense(1, trainable=False)(features)") + reader)
    with pytest.raises(ModelError, match="no trainable weights"):
        bench.run(DECLARED, **CHARGED)
    assert states(ledger) == []
    bench.module(MODULE + reader)
    bench.run(DECLARED, **CHARGED)
    assert states(ledger) == ["COMMITTED"]


@pytest.mark.parametrize(
    ("name", "value"), [("payload_format", "FORMAT_TF_SEQUENCE_EXAMPLE"), ("file_format", "parquet")]
)
def test_examples_of_another_format_cost_nothing(bench: Bench, ledger: Ledger, name: str, value: str) -> None:
    bench.inputs["examples"][0].set_string_custom_property(name, value)
    with pytest.raises(DataError, match=f"{name}='{value}'"):
        bench.run(DECLARED, **CHARGED)
    assert states(ledger) == []


def test_a_label_that_the_schema_allows_and_the_loss_does_not_costs_nothing(bench: Bench, ledger: Ledger) -> None:
    text = disk.SCHEMA.replace('name: "label" type: INT', 'name: "label" type: INT int_domain { min: 0 max: 2 }')
    bench.inputs["schema"] = [disk.write_schema(bench.root / "three_classes", text)]
    with pytest.raises(ParameterError, match="By the domains in the schema: A label is not between 0 and 1"):
        bench.run(DECLARED, **CHARGED)
    assert states(ledger) == []


def test_a_file_of_another_format_costs_nothing(bench: Bench, ledger: Ledger) -> None:
    file = bench.root / "examples" / "Split-train" / "more.parquet"
    file.write_bytes(b"PAR1 and more PAR1")
    with pytest.raises(DataError, match=f"{file} is Parquet"):
        bench.run(DECLARED, **CHARGED)
    assert states(ledger) == []


@pytest.mark.parametrize("output", ["model", "model_run", "privacy_guarantee", "reference_models"])
def test_an_output_that_cannot_be_written_costs_nothing(bench: Bench, ledger: Ledger, output: str) -> None:
    (bench.root / output).write_text("in the way of the folder")
    with pytest.raises(ParameterError, match="Nothing can be written to"):
        bench.run(DECLARED, **CHARGED)
    assert states(ledger) == []


def test_what_is_stated_before_the_charge_is_what_is_stated_afterwards(
    bench: Bench, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfx_privacy.guarantee import planned

    check, seen = planned.check, []

    def spying(record: Any) -> None:
        assert states(ledger) == []
        seen.append(record)
        check(record)

    monkeypatch.setattr(planned, "check", spying)
    record = bench.run(DECLARED, num_reference_models=2, **CHARGED)
    (before,) = seen
    unknown = {"run_id", "issued_at", "model_digest", "trained_records_digest", "ledger", "statement", "references"}
    assert before.model_dump(exclude=unknown) == record.model_dump(exclude=unknown)
    assert record.references is not None
    assert before.references.epsilon_all == record.references.epsilon_all


def test_privacy_off_is_never_charged(bench: Bench, ledger: Ledger) -> None:
    with pytest.raises(ParameterError, match="infinite epsilon"):
        bench.run(DPParameters(enabled=False, target_delta=1e-4, expected_batch_size=50, epochs=1), **CHARGED)
    assert states(ledger) == []


def test_blocks_are_charged_by_themselves(bench: Bench, address: str) -> None:
    ledger = new_ledger(address, epsilon=ENOUGH, blocks=["2023", "2024", "2025"])
    record = bench.run(DECLARED, **CHARGED, dataset_blocks='["2024","2025"]')
    assert record.ledger is not None
    assert record.ledger.blocks == ["2024", "2025"]
    charged = {name: block.charged for name, block in ledger.dataset(DATASET).blocks.items()}
    assert charged["2023"] == 0
    assert charged["2024"] == charged["2025"] > 0


def test_reference_models_are_charged_as_well(bench: Bench, ledger: Ledger) -> None:
    record = bench.run(DECLARED, num_reference_models=4, **CHARGED)
    runs = ledger.verify().datasets[DATASET].runs
    assert record.ledger is not None
    (references,) = record.ledger.reference_run_ids
    assert {run.state for run in runs.values()} == {"COMMITTED"}
    assert runs[references].purpose == "reference_models"
    assert runs[references].planned.steps == 2 * runs[record.run_id].planned.steps
    assert runs[references].model_digest == record.model_digest


def test_reference_models_that_do_not_fit_take_the_whole_run_back(bench: Bench, address: str) -> None:
    alone = new_ledger(address, epsilon=8.0)  # for the model, and not for its reference models as well
    run = {**CHARGED, "checkpoint_dir": str(bench.root / "checkpoints")}
    with pytest.raises(BudgetError):
        bench.run(DECLARED, num_reference_models=4, **run)
    assert states(alone) == ["ABORTED"]
    bench.run(DECLARED, **run)
    assert states(alone) == ["ABORTED", "COMMITTED"]


def test_a_model_that_the_ledger_does_not_take_is_removed(
    bench: Bench, address: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfx_privacy.components.dp_trainer import executor

    save = executor._save

    def settle_first(*arguments: Any) -> str:
        digest = save(*arguments)
        (run,) = ledger.verify().datasets[DATASET].runs
        open_ledger(address).settle(run, approver="Dana", reason="taken for dead")
        return digest

    monkeypatch.setattr(executor, "_save", settle_first)
    with pytest.raises(LedgerError, match="SETTLED; commit needs STARTED"):
        bench.run(DECLARED, **CHARGED)
    assert not (bench.root / "model").exists()
    assert not (bench.root / "privacy_guarantee" / FILE_NAME).exists()


def test_the_address_is_written_nowhere(
    bench: Bench, postgresql: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    address = postgresql.create("written_nowhere")
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", address)
    new_ledger(address)
    bench.run(DECLARED, **CHARGED)
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", address.replace(str(postgresql.port), "1"))
    with pytest.raises(LedgerError) as error:
        bench.run(DECLARED, **CHARGED)
    texts = [file.read_bytes() for file in bench.root.rglob("*") if file.is_file()]
    texts += [caplog.text.encode(), str(error.value).encode(), repr(error.value.__cause__).encode()]
    properties = [artifact.mlmd_artifact.SerializeToString() for kind in bench.outputs.values() for artifact in kind]
    for text in [*texts, *properties]:
        assert PASSWORD.encode() not in text
        assert b"written_nowhere" not in text


def test_a_result_from_the_cache_costs_nothing_and_a_repeated_run_pays_again(bench: Bench, ledger: Ledger) -> None:
    from tfx.components import ImportExampleGen
    from tfx.orchestration import pipeline
    from tfx.proto import example_gen_pb2

    from tfx_privacy.components import DPTrainer
    from tfx_privacy.pipelines import local_runner

    def run(**options: Any) -> None:
        splits = example_gen_pb2.Input(
            splits=[
                example_gen_pb2.Input.Split(name="train", pattern="Split-train/*"),
                example_gen_pb2.Input.Split(name="eval", pattern="Split-eval/*"),
            ]
        )
        examples = ImportExampleGen(input_base=str(bench.root / "examples"), input_config=splits)
        from tfx.dsl.components.common import importer
        from tfx.types import standard_artifacts

        schema = importer.Importer(
            source_uri=str(bench.root / "schema"), artifact_type=standard_artifacts.Schema
        ).with_id("schema")
        trainer = DPTrainer(
            examples=examples.outputs["examples"],
            schema=schema.outputs["result"],
            module_file=str(bench.root / "user_module.py"),
            privacy=DECLARED,
            **CHARGED,
        )
        local_runner.run_locally(
            pipeline.Pipeline(
                pipeline_name="charged",
                pipeline_root=str(bench.root / "pipeline"),
                components=[examples, schema, trainer],
                metadata_connection_config=local_runner.sqlite_metadata(str(bench.root / "metadata.db")),
                **options,
            )
        )

    run(enable_cache=True)
    run(enable_cache=True)
    assert states(ledger) == ["COMMITTED"]
    run(enable_cache=False)
    assert states(ledger) == ["COMMITTED", "COMMITTED"]
    labels = [entry.body.labels for entry in ledger.log(DATASET) if entry.body.kind == "reserve"]
    assert {label["pipeline"] for label in labels} == {"charged"}
    assert {label["node"] for label in labels} == {"DPTrainer"}
    stored = (bench.root / "metadata.db").read_bytes()
    assert b"ledger.db" not in stored
    assert str(BUDGET["approver"]).encode() not in stored
