import pathlib
from typing import Any

import evaluations
import pytest

from tfx_privacy.attacks.evaluation import PrivacyEvaluation

pytestmark = pytest.mark.slow


def write(root: pathlib.Path, record: PrivacyEvaluation) -> Any:
    import tensorflow_model_analysis as tfma

    from tfx_privacy.components.privacy_evaluator import tfma_result

    tfma_result.write(str(root / "made" / "here"), record)
    return tfma.load_eval_result(str(root / "made" / "here"))


def bounded(metric: Any) -> tuple[float, float, float]:
    value = metric["boundedValue"]
    # A zero is left out of a proto's dictionary.
    return value.get("value", 0.0), value.get("lowerBound", 0.0), value.get("upperBound", 0.0)


def test_every_number_comes_back_with_its_interval(tmp_path: pathlib.Path) -> None:
    record = evaluations.make()
    result = write(tmp_path, record)
    judged = [row for row in record.results if row.status == "OK"]
    assert len(judged) == 15
    for row in judged:
        key = () if row.slice_feature == "all" else ((row.slice_feature, row.slice_value),)
        found = result.get_metrics_for_slice(key)
        assert row.auc is not None
        assert row.advantage is not None
        expected = {
            f"attack_auc/{row.attack}": row.auc,
            f"advantage/{row.attack}": row.advantage,
            f"tpr_at_fpr_0.01/{row.attack}": row.tpr_at_fpr[0].tpr,
            f"tpr_at_fpr_0.1/{row.attack}": row.tpr_at_fpr[1].tpr,
        }
        for name, interval in expected.items():
            assert bounded(found[name]) == (interval.estimate, interval.low, interval.high)
        assert found[f"attack_auc_upper/{row.attack}"] == {"doubleValue": row.attack_auc_upper}
        assert found[f"num_members/{row.attack}"] == {"doubleValue": float(row.num_members)}
        assert f"tpr_at_fpr_0.001/{row.attack}" not in found


def test_rows_without_numbers_are_left_out_and_confounded_ones_have_names_of_their_own(tmp_path: pathlib.Path) -> None:
    result = write(tmp_path, evaluations.make())
    assert result.get_metrics_for_slice((("name", "<other>"),)) is None
    found = result.get_metrics_for_slice((("name", "shifted"),))
    assert "attack_auc/entropy" not in found
    assert bounded(found["confounded_attack_auc/entropy"]) == pytest.approx((0.61, 0.59, 0.63))


def test_counts_of_slices(tmp_path: pathlib.Path) -> None:
    result = write(tmp_path, evaluations.make())
    assert result.get_metrics_for_slice()["example_count"] == {"doubleValue": 6_003.0}
    assert result.get_metrics_for_slice((("class", "1"),))["example_count"] == {"doubleValue": 1_500.0}


def test_tfma_draws_its_tables_and_plots(tmp_path: pathlib.Path) -> None:
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.proto import config_pb2

    result = write(tmp_path, evaluations.make())
    overall = tfma.view.render_slicing_metrics(result)
    assert [part["slice"] for part in overall.data] == ["Overall"]
    assert overall.config == {"weightedExamplesColumn": "example_count"}
    by_class = tfma.view.render_slicing_metrics(result, slicing_column="class")
    assert {part["slice"] for part in by_class.data} == {f"class:{index}" for index in range(4)}
    one = tfma.view.render_slicing_metrics(result, slicing_spec=config_pb2.SlicingSpec(feature_values={"class": "2"}))
    assert len(one.data) == 1
    series = tfma.view.render_time_series(tfma.make_eval_results([result, result], tfma.MODEL_CENTRIC_MODE))
    assert len(series.data) == 2
    default, loss, entropy = (tfma.view.render_plot(result, output_name=name) for name in (None, "loss", "entropy"))
    assert default.data == loss.data
    assert default.data != entropy.data


def test_the_plots_counts_are_those_of_the_sides(tmp_path: pathlib.Path) -> None:
    """Threshold t has FPR 1 - t, and every matrix holds each record once."""
    import tensorflow_model_analysis as tfma

    record = evaluations.make()
    matrices = tfma.view.render_plot(write(tmp_path, record)).data["confusionMatrixAtThresholds"]["matrices"]
    curve = record.curves[1]
    assert len(matrices) == len(curve.false_positive_rate)
    thresholds = [matrix.get("threshold", 0.0) for matrix in matrices]
    assert thresholds == sorted(thresholds)
    for matrix, false, true in zip(
        reversed(matrices), curve.false_positive_rate, curve.true_positive_rate, strict=True
    ):
        counts = {
            name: matrix.get(name, 0.0)
            for name in ("truePositives", "falseNegatives", "falsePositives", "trueNegatives")
        }
        assert counts["truePositives"] + counts["falseNegatives"] == pytest.approx(4_000)
        assert counts["falsePositives"] + counts["trueNegatives"] == pytest.approx(2_000)
        assert counts["falsePositives"] / 2_000 == pytest.approx(1.0 - matrix.get("threshold", 0.0), abs=1e-12)
        assert counts["falsePositives"] / 2_000 == pytest.approx(false)
        assert counts["truePositives"] / 4_000 == pytest.approx(true)
        assert matrix.get("recall", 0.0) == pytest.approx(true)


def test_an_evaluation_without_numbers_has_counts_and_no_plot(tmp_path: pathlib.Path) -> None:
    import tensorflow_model_analysis as tfma

    nothing = [evaluations.row("loss", "all", "", None, status="UNSUPPORTED", reason="constant scores")]
    result = write(tmp_path, evaluations.make(results=nothing, curves=[], over_training=[], findings=[]))
    assert result.get_metrics_for_slice() == {"example_count": {"doubleValue": 6_003.0}}
    assert tfma.view.render_slicing_metrics(result) is not None
    assert result.plots == []


def test_a_curve_of_an_attack_without_a_row_has_the_usable_records(tmp_path: pathlib.Path) -> None:
    import tensorflow_model_analysis as tfma

    record = evaluations.make(curves=[evaluations.curve("other", 0.1)])
    matrices = tfma.view.render_plot(write(tmp_path, record)).data["confusionMatrixAtThresholds"]["matrices"]
    assert matrices[0]["truePositives"] + matrices[0].get("falseNegatives", 0.0) == pytest.approx(4_000)
