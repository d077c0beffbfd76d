import numpy as np
import pytest

from plateloop.deployment.latency import BOUNDS, Latencies, Latency


def test_quantiles_are_those_of_the_sorted_values() -> None:
    seconds = np.random.default_rng(0).lognormal(-2, 0.8, 20_000)
    latency = Latency()
    for value in seconds:
        latency.add(value)
    assert latency.count == 20_000 and latency.total_s == pytest.approx(seconds.sum())
    for share, value in ((0.5, latency.p50), (0.95, latency.p95), (0.99, latency.p99)):
        assert value == pytest.approx(np.quantile(seconds, share), rel=0.05)


def test_ends_of_the_range_and_nothing() -> None:
    latency = Latency()
    assert latency.p50 is None and latency.cumulative()[-1] == (float("inf"), 0)
    latency.add(-3.0)  # a clock that was set back
    assert latency.p99 is not None and latency.p99 <= BOUNDS[0] and latency.total_s == 0
    latency.add(1e6, times=99)
    assert latency.p50 == BOUNDS[-1] and latency.count == 100


def test_histograms_add_up() -> None:
    latencies = Latencies()
    latencies[0].add(0.1, 3)
    latencies[7].add(2.0)
    together = Latency()
    together.merge(latencies.values())
    counts = dict(together.cumulative())
    assert together.count == counts[float("inf")] == 4
    assert max(count for bound, count in counts.items() if bound < 1) == 3
