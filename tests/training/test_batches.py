"""A batch of any size becomes chunks of fixed shapes, and nobody is left out."""

import numpy as np
import pytest

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("expected", [1, 2.5, 10, 256, 2048, 5000])
@pytest.mark.parametrize("costly", [False, True])
@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_nobody_is_left_out_and_nobody_is_there_twice(expected: float, costly: bool, replicas: int) -> None:
    from tfx_privacy.training import Layout

    layout = Layout.of(expected, costly=costly).divisible_by(replicas)
    assert max(layout.large, layout.small) <= 1024 + replicas
    for size in (0, 1, int(expected), int(expected * 2) + 7, int(expected * 10)):
        large, small = layout.cut(np.arange(size))
        assert large.shape == (layout.num_large, layout.large)
        assert small.shape[1] == layout.small
        assert layout.large % replicas == layout.small % replicas == 0
        drawn = np.concatenate([large.ravel(), small.ravel()])
        np.testing.assert_array_equal(np.sort(drawn[drawn >= 0]), np.arange(size))
        # Padding is less than a small chunk, beside what the large ones have in any case.
        assert (
            len(drawn) < layout.large * layout.num_large + max(0, size - layout.large * layout.num_large) + layout.small
        )


def test_chunks_fit_into_memory() -> None:
    from tfx_privacy.training import Layout

    assert Layout.of(4096).large <= 1024
    assert Layout.of(4096, max_chunk=10).large <= 10
    assert Layout.of_chunks(40, 7) == Layout(7, 6, 7)


def test_the_records_of_units() -> None:
    from tfx_privacy.training import ColumnarDataset
    from tfx_privacy.training.batches import ResidentData

    data = ColumnarDataset(np.arange(5.0, dtype=np.float32)[:, np.newaxis], np.arange(5))
    single = ResidentData(data)
    np.testing.assert_array_equal(single.records_of(np.array([[4, -1]])), [[[4], [5]]])
    users = ResidentData(data, np.array([[0, 3], [1, -1]]))
    assert (users.num_units, users.records_each) == (2, 2)
    np.testing.assert_array_equal(users.records_of(np.array([1, -1, 0])), [[1, 5], [5, 5], [0, 3]])
    # A user's loss is the mean over the records that are used; unused records and padding weigh nothing.
    np.testing.assert_allclose(users.weights.numpy()[[0, 3, 1, 5]], [0.5, 0.5, 1.0, 0.0])
