"""Keeps scikit-learn's trees to one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it OpenMP has one thread.

    Trees on some ten thousand records gain next to nothing by more. Where the threads are more than the processors that
    are free (a container's limit, tests side by side), they wait for each other in loops: the same fit then takes ten
    times as long, and twenty times the processor's time.
    """
    import threadpoolctl

    with threadpoolctl.threadpool_limits(limits=1, user_api="openmp"):
        yield
