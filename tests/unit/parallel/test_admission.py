"""Places in a pool: never more than allowed, and whoever waits gets one."""

from __future__ import annotations

import threading

import pytest

from theus.errors import PoolClosedError, PoolFullError, SettingsError, TaskTimeoutError
from theus.parallel.admission import Admission

WAIT = 30


def test_places_are_counted():
    places = Admission(2)
    places.enter()
    places.enter()
    assert places.inside == 2
    with pytest.raises(PoolFullError) as caught:
        places.enter(wait=False)
    assert caught.value.limit == 2
    assert isinstance(caught.value, BlockingIOError)
    with pytest.raises(TaskTimeoutError):
        places.enter(seconds=0.001)
    places.enter(beyond=True)
    assert places.inside == 3
    places.leave()
    with pytest.raises(PoolFullError):
        places.enter(wait=False)
    places.leave()
    places.enter(wait=False)
    assert (places.inside, places.entered) == (2, 4)


@pytest.mark.parametrize("limit", [0, -1, 1.0, True, None])
def test_the_limit_is_a_positive_number(limit):
    with pytest.raises(SettingsError, match="`max_pending`"):
        Admission(limit)


def test_many_threads_never_exceed_the_limit():
    places = Admission(3)
    lock = threading.Lock()
    inside, most, turns = 0, 0, 0

    def work():
        nonlocal inside, most, turns
        for _ in range(100):
            places.enter()
            with lock:
                inside += 1
                most = max(most, inside)
                turns += 1
            with lock:
                inside -= 1
            places.leave()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert (turns, inside, places.inside) == (800, 0, 0)
    assert most <= 3


def test_when_free_is_done_when_there_is_room():
    places = Admission(1)
    assert places.when_free().done()
    places.enter()
    first, second, dropped = places.when_free(), places.when_free(), places.when_free()
    dropped.cancel()
    assert not first.done()
    places.leave()
    assert first.result(0) is None
    assert second.result(0) is None
    assert dropped.cancelled()


def test_closing_turns_everybody_away():
    places = Admission(1)
    places.enter()
    told = []

    def wait_for_a_place():
        try:
            places.enter()
        except PoolClosedError as error:
            told.append(error)

    threads = [threading.Thread(target=wait_for_a_place) for _ in range(3)]
    for thread in threads:
        thread.start()
    waiting = places.when_free()
    places.close()
    for thread in threads:
        thread.join(WAIT)
    assert len(told) == 3
    assert waiting.done()
    assert places.when_free().done()
    with pytest.raises(PoolClosedError):
        places.enter()
    places.leave()
    assert places.inside == 0
