"""From a table and an empty OpenSearch to a live alias, on real servers: twice, killed at any call, answers lost."""

import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from dynamo_opensearch.core.aws.control_plane import BotoControlPlane
from dynamo_opensearch.core.cutover.search_domain import SearchDomain
from dynamo_opensearch.core.cutover.table_stream import StreamViewError
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.wiring.canary import check_canary, planned_canary, take_canary_back, try_indexer
from dynamo_opensearch.wiring.cutover import make_index_behind_alias, stream_readiness, switch_stream_on
from tests.integration.conftest import MakeRig
from tests.support import faults, oracle
from tests.support.aws_answers import changed
from tests.support.cutover_rig import CutoverConnections
from tests.support.dying import Died, Fate
from tests.support.fakes import MemorySink
from tests.support.fault_proxy import Exchange, FaultProxy
from tests.support.indexing import IndexingHandler, mapped
from tests.support.rig import Rig, small_item
from tests.support.service_rig import client_at
from tools.local.processes import Server

Connect = Callable[..., CutoverConnections]
RUN = "run 1"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    def make(rig: Rig, fate: Fate | None = None, **more: Any) -> CutoverConnections:
        found: CutoverConnections = CutoverConnections.of_rig(rig, fate, **more)
        found.use(monkeypatch)
        return found

    return make


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    made: Rig = make_rig()
    made.create_table()
    return made


def stream_of(rig: Rig) -> tuple[str | None, str | None]:
    """ARN and view type, by a judge's own client; None while it is off."""
    table = rig.boto.describe_table(TableName=rig.table)["Table"]
    specification = table.get("StreamSpecification") or {}
    if not specification.get("StreamEnabled"):
        return None, None
    return table["LatestStreamArn"], specification["StreamViewType"]


def readable(connections: CutoverConnections) -> str:
    """As the sensor waits; the ARN."""
    look, deadline = stream_readiness(connections), time.monotonic() + 30
    while not (found := look()).is_ready:
        assert time.monotonic() < deadline, found.seen
        time.sleep(0.05)
    return found.value


# The stream


@pytest.mark.parametrize("kind", ["ministack", "dynamodb-local"])
def test_a_stream_is_switched_on_once_and_what_is_written_then_is_in_it(
    make_rig: MakeRig, connect: Connect, request: pytest.FixtureRequest, kind: str
) -> None:
    server: Server = request.getfixturevalue(f"{kind.replace('-', '_')}_server")
    rig = make_rig(direct_dynamodb=server.url)
    rig.create_table()
    connections = connect(rig)
    assert not stream_readiness(connections)().is_ready
    assert not switch_stream_on(connections).was_on
    arn = readable(connections)
    assert stream_of(rig) == (arn, "NEW_AND_OLD_IMAGES")
    assert switch_stream_on(connections).was_on
    assert stream_of(rig) == (arn, "NEW_AND_OLD_IMAGES")

    rig.put([small_item(1)])
    streams = oracle.client(rig.direct_dynamodb, "dynamodbstreams")
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    (record,) = streams.get_records(ShardIterator=iterator)["Records"]
    assert record["dynamodb"]["NewImage"] == small_item(1)
    streams.close()


def test_a_stream_of_another_view_type_stays_as_it_is(rig: Rig, connect: Connect) -> None:
    specification = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    rig.boto.update_table(TableName=rig.table, StreamSpecification=specification)
    before = stream_of(rig)
    connections = connect(rig)
    for step in (switch_stream_on, readable):
        with pytest.raises(StreamViewError, match="is on with KEYS_ONLY"):
            step(connections)
    assert stream_of(rig) == before


def test_a_stream_that_was_switched_off_is_switched_on_as_another_one(rig: Rig, connect: Connect) -> None:
    connections = connect(rig)
    switch_stream_on(connections)
    first = readable(connections)
    rig.boto.update_table(TableName=rig.table, StreamSpecification={"StreamEnabled": False})
    assert not stream_readiness(connections)().is_ready
    time.sleep(1.1)  # a stream's name is its second
    assert not switch_stream_on(connections).was_on
    assert readable(connections) != first


def test_an_answer_that_is_lost_switches_it_on_once(
    make_rig: MakeRig, connect: Connect, dynamodb_proxy: FaultProxy
) -> None:
    rig = make_rig()
    rig.create_table()
    dynamodb_proxy.on("UpdateTable", faults.reset_in_mid_answer())
    connections = connect(rig, aws_url=dynamodb_proxy.url)
    switch_stream_on(connections)
    arn = readable(connections)
    switch_stream_on(connections)
    assert stream_of(rig) == (arn, "NEW_AND_OLD_IMAGES")


# Killed


def test_the_first_steps_killed_at_any_call_end_the_same_when_they_are_tried_again(
    make_rig: MakeRig, connect: Connect
) -> None:
    """Index and stream, with a rig of its own for each call that is the last one."""
    for survived in itertools.count():
        rig, fate = make_rig(), Fate(survived)
        rig.create_table()
        with suppress(Died):
            first_steps(connect(rig, fate))
        index, arn = first_steps(connect(rig))
        assert rig.indices() == [index] == [rig.index], f"killed after {survived} calls"
        assert stream_of(rig) == (arn, "NEW_AND_OLD_IMAGES"), f"killed after {survived} calls"
        assert first_steps(connect(rig)) == (index, arn)
        if not fate.is_dead:
            break
    assert survived > 10


def first_steps(connections: CutoverConnections) -> tuple[str, str]:
    """The index and the stream's ARN."""
    made = make_index_behind_alias(connections, RUN)
    switch_stream_on(connections)
    return made.index, readable(connections)


@pytest.mark.parametrize("step", ["index", "stream"])
def test_a_process_that_is_killed_after_its_change_was_carried_out_is_followed_by_one_that_finds_it_done(
    rig: Rig, opensearch_proxy: FaultProxy, dynamodb_proxy: FaultProxy, step: str
) -> None:
    is_carried_out, is_free = threading.Event(), threading.Event()

    def hang(exchange: Exchange) -> None:
        exchange.forward()
        is_carried_out.set()
        is_free.wait(60)
        exchange.reset()

    if step == "index":
        opensearch_proxy.on(lambda one: one.method == "PUT" and one.path == f"/{rig.index}", hang)
    else:
        dynamodb_proxy.on("UpdateTable", hang)
    servers = [dynamodb_proxy.url, opensearch_proxy.url]
    command = [sys.executable, "-m", "tests.support.preparing_process", *servers, rig.base, step]
    variables = {"PYTHONPATH": ".:plugins"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as first:
        assert is_carried_out.wait(60), "it never asked for that"
        first.send_signal(signal.SIGKILL)
    is_free.set()
    assert first.returncode == -signal.SIGKILL
    before = (rig.indices(), stream_of(rig))
    assert (before[0] == [rig.index], before[1][1] == "NEW_AND_OLD_IMAGES") == (step == "index", step == "stream")

    again = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60, check=True)
    assert again.stdout == "True\n", "it was there"
    assert (rig.indices(), stream_of(rig)) == before


# All of it


def test_from_nothing_to_a_live_alias_and_once_more(rig: Rig, connect: Connect) -> None:
    """Items from before the stream come by the copy, those from after it by the indexer."""
    rig.put([small_item(number) for number in range(60)])
    connections = connect(rig)
    index, arn = first_steps(connections)
    with mapped(rig, IndexingHandler(rig, 1.5)) as mapping:
        rig.put([small_item(number) for number in range(60, 80)])
        made: list[tuple[list[str], tuple[str | None, str | None]]] = []
        for attempt in (1, 2):
            assert first_steps(connections) == (index, arn)
            canary = planned_canary(connections, "ab" * 16, attempt)
            check_canary(connections, canary)
            try_indexer(connections, canary, None, 30.0)
            assert take_canary_back(connections, canary, lambda _: MemorySink()) == (False, False)
            assert rig.copy().report.offer.offered == 80
            mapping.wait_until_caught_up()
            assert rig.differences() == []
            made.append((rig.indices(), stream_of(rig)))
    assert made[0] == made[1] == ([rig.index], (arn, "NEW_AND_OLD_IMAGES"))
    assert set(rig.call(f"_alias/{rig.alias}")) == {rig.index}


# The domain


def test_a_domain_is_waited_for_until_it_is_there_at_rest_and_answers(rig: Rig) -> None:
    client = client_at(rig.direct_dynamodb, "opensearch")
    plane = BotoControlPlane(lambda _: client, rig.clock, rig.retry)
    name = f"d{rig.base[1:12]}"
    arn = f"arn:aws:es:eu-central-1:000000000000:domain/{name}"
    domain = SearchDomain(plane, arn, PatientCluster(rig.cluster, rig.clock, rig.retry), rig.direct_opensearch)
    assert f"there is no OpenSearch domain '{name}'" in domain.look().seen
    judge = oracle.client(rig.direct_dynamodb, "opensearch")
    judge.create_domain(DomainName=name, EngineVersion="OpenSearch_2.19")
    with changed(client, "DescribeDomain", lambda answer: answer["DomainStatus"].update(Processing=True)):
        assert domain.look().seen == f"OpenSearch domain '{name}' is being changed"
    found = domain.look()
    assert found.is_ready
    assert found.seen == f"domain '{name}' is active; OpenSearch {found.value} answers at {rig.direct_opensearch}"
    assert found.value == rig.call("")["version"]["number"]
    judge.delete_domain(DomainName=name)
    assert not domain.look().is_ready
    for one in (client, judge):
        one.close()
