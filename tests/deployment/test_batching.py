import threading
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plateloop.deployment.batching import Intake


def test_a_batch_goes_when_full_and_keeps_order() -> None:
    intake: Intake[int] = Intake(8)
    intake.open(0)
    for item in range(5):
        assert intake.put(0, item, wait=True)
    started = time.monotonic()
    assert intake.take(4, 60.0) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert time.monotonic() - started < 1


def test_a_batch_goes_when_its_oldest_has_waited_enough() -> None:
    intake: Intake[int] = Intake(8)
    intake.open(0)
    intake.open(1)  # a camera that is dead
    intake.put(0, 7, wait=True)
    started = time.monotonic()
    assert intake.take(4, 0.05) == [(0, 7)]
    assert 0.03 < time.monotonic() - started < 1


def test_full_queues_are_not_waited_for() -> None:
    intake: Intake[int] = Intake(2)
    intake.open(0)
    intake.put(0, 1, wait=True)
    intake.put(0, 2, wait=True)
    started = time.monotonic()
    assert len(intake.take(16, 60.0)) == 2
    assert time.monotonic() - started < 1


def test_the_end_is_an_empty_batch() -> None:
    intake: Intake[int] = Intake(4)
    intake.open(0)
    intake.put(0, 1, wait=True)
    intake.close(0)
    assert intake.take(4, 60.0) == [(0, 1)]
    assert intake.take(4, 60.0) == []


def test_live_streams_drop_their_oldest_and_count() -> None:
    intake: Intake[int] = Intake(3)
    intake.open(0)
    for item in range(10):
        intake.put(0, item, wait=False)
    assert intake.dropped(0) == 7
    assert [item for _, item in intake.take(3, 0)] == [7, 8, 9]


def test_streams_take_turns() -> None:
    intake: Intake[int] = Intake(100)
    for stream in range(3):
        intake.open(stream)
    for item in range(50):
        intake.put(0, item, wait=False)
    intake.put(1, 0, wait=False)
    intake.put(2, 0, wait=False)
    assert Counter(stream for stream, _ in intake.take(4, 0)) == {0: 2, 1: 1, 2: 1}


@pytest.mark.parametrize("depth", [1, 4])
def test_files_are_held_back_and_lose_nothing(depth: int) -> None:
    intake: Intake[int] = Intake(depth)
    for stream in range(3):
        intake.open(stream)

    def produce(stream: int) -> None:
        for item in range(200):
            intake.put(stream, item, wait=True)
            assert intake.waiting(stream) <= depth
        intake.close(stream)

    threads = [threading.Thread(target=produce, args=(stream,)) for stream in range(3)]
    for thread in threads:
        thread.start()
    got: dict[int, list[int]] = {0: [], 1: [], 2: []}
    while batch := intake.take(5, 0.01):
        for stream, item in batch:
            got[stream].append(item)
    for thread in threads:
        thread.join()
    assert all(items == list(range(200)) for items in got.values())


def test_stop_frees_whoever_waits() -> None:
    intake: Intake[int] = Intake(1)
    intake.open(0)
    intake.put(0, 1, wait=True)
    result: list[bool] = []
    thread = threading.Thread(target=lambda: result.append(intake.put(0, 2, wait=True)))
    thread.start()
    intake.stop()
    thread.join(5)
    assert result == [False]
    assert intake.take(1, 60.0) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99)), max_size=40), st.integers(1, 9))
def test_batches_hold_everything_once_and_in_order(items: list[tuple[int, int]], most: int) -> None:
    intake: Intake[int] = Intake(100)
    for stream in range(4):
        intake.open(stream)
    for stream, item in items:
        intake.put(stream, item, wait=False)
    for stream in range(4):
        intake.close(stream)
    taken: list[tuple[int, int]] = []
    while batch := intake.take(most, 60.0):
        assert len(batch) <= most
        taken += batch
    for stream in range(4):
        assert [i for s, i in taken if s == stream] == [i for s, i in items if s == stream]
