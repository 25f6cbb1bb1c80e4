"""The state store in a hidden index, under races and broken connections."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dynamo_opensearch.core.state.index_store import IndexStateStore, StateConflictError
from tests.integration.conftest import MakeRig
from tests.support import faults
from tests.support.fault_proxy import FaultProxy
from tests.support.rig import Rig

KEY = "deployment|members|run/2026-11-23T00:00:00+00:00|copy|é 3"


@pytest.fixture
def rig(make_rig: MakeRig, opensearch_proxy: FaultProxy) -> Rig:
    made: Rig = make_rig(opensearch_url=opensearch_proxy.url)
    return made


def store(rig: Rig, key: str = KEY) -> IndexStateStore:
    return IndexStateStore(rig.patient, f"{rig.base}-state", key)


def test_state_survives_its_writer_and_the_index_is_hidden(rig: Rig) -> None:
    mine = store(rig)
    assert mine.load() is None
    mine.save({"position": {"start_key": {"id": {"S": "a"}}}, "n": 1})
    mine.save({"n": 2})
    again = store(rig)
    assert again.load() == {"n": 2}
    again.save({"n": 3})
    assert store(rig).load() == {"n": 3}
    assert store(rig, "another").load() is None
    assert rig.call("*?filter_path=*.aliases") is not None
    assert f"{rig.base}-state" not in rig.call("*")
    settings = rig.call(f"{rig.base}-state/_settings")[f"{rig.base}-state"]["settings"]["index"]
    assert settings["hidden"] == "true"


def test_of_two_tries_at_once_one_goes_on_and_the_other_is_told(rig: Rig) -> None:
    one, other = store(rig), store(rig)
    one.load()
    other.load()
    one.save({"by": "one"})
    with pytest.raises(StateConflictError, match="was written by another process"):
        other.save({"by": "other"})
    one.save({"by": "one again"})
    assert store(rig).load() == {"by": "one again"}


def test_of_many_that_begin_together_exactly_one_wins_each_round(rig: Rig) -> None:
    stores = [store(rig) for _ in range(6)]
    for _ in range(3):
        for one in stores:
            one.load()
        with ThreadPoolExecutor(6) as pool:
            outcomes = list(pool.map(saves, stores, range(6), [threading.Barrier(6)] * 6))
        assert outcomes.count(True) == 1
        assert store(rig).load() == {"by": outcomes.index(True)}


def saves(mine: IndexStateStore, number: int, start: threading.Barrier) -> bool:
    """Whether this one won the race."""
    start.wait(10)
    try:
        mine.save({"by": number})
    except StateConflictError:
        return False
    return True


def test_a_save_whose_answer_was_lost_is_not_a_race_with_itself(rig: Rig, opensearch_proxy: FaultProxy) -> None:
    mine = store(rig)
    opensearch_proxy.on(
        lambda exchange: exchange.method == "PUT" and "_doc" in exchange.path, faults.reset_in_mid_answer(), times=2
    )
    mine.save({"n": 1})
    mine.save({"n": 2})
    mine.save({"n": 3})
    assert store(rig).load() == {"n": 3}


def test_a_server_that_is_busy_is_waited_for(rig: Rig, opensearch_proxy: FaultProxy) -> None:
    opensearch_proxy.on("-state", faults.unavailable(), times=3)
    mine = store(rig)
    assert mine.load() is None
    mine.save({"n": 1})
    assert store(rig).load() == {"n": 1}
