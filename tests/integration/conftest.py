"""Real servers, started once for all integration tests; each test has a table and indices of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dynamo_opensearch.core.dead_letters.replay import consumer
from dynamo_opensearch.core.stamps import StampRule
from tests.support.dead_letter_rig import DeadLetterRig, MakeDeadLetterRig
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.indexing import create_streaming_table
from tests.support.ready_environment import MakeReady, ReadyEnvironment
from tests.support.rig import ANYTHING, Rig
from tools.local import dynamodb_local, elasticmq, ministack, moto, opensearch
from tools.local.processes import Server

MakeRig = Callable[..., Rig]


@pytest.fixture(scope="session")
def opensearch_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with opensearch.started(tmp_path_factory.mktemp("opensearch"), heap="512m") as server:
        yield server


@pytest.fixture(scope="session")
def ministack_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ministack.started(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with moto.started(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def dynamodb_local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with dynamodb_local.started(tmp_path_factory.mktemp("dynamodb-local")) as server:
        yield server


@pytest.fixture(params=["ministack", "dynamodb-local"])
def either_dynamodb(request: pytest.FixtureRequest) -> Server:
    """Each in turn: they err differently."""
    server: Server = request.getfixturevalue(f"{request.param.replace('-', '_')}_server")
    return server


@pytest.fixture(scope="session")
def elasticmq_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with elasticmq.started(tmp_path_factory.mktemp("elasticmq")) as server:
        yield server


@pytest.fixture(params=["ministack", "elasticmq"])
def either_sqs(request: pytest.FixtureRequest) -> Server:
    """Each in turn: they err differently."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def no_aws_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """boto3 finds no credentials and no region on this machine."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_DEFAULT_REGION",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def make_rig(ministack_server: Server, opensearch_server: Server) -> Iterator[MakeRig]:
    """Rigs on MiniStack and OpenSearch, unless told otherwise; closed when the test ends."""
    rigs: list[Rig] = []

    def make(**settings: Any) -> Rig:
        defaults = {"direct_dynamodb": ministack_server.url, "direct_opensearch": opensearch_server.url}
        rigs.append(Rig(**{**defaults, **settings}))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


QUICK = StampRule(stream_rounding_s=1.0, margin_s=1.5)
"""Clocks of one machine agree, so the margin need not be 6 s; second looks come after 4 s then."""


@pytest.fixture
def make_dead_letters(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeDeadLetterRig]:
    """Rigs with a table, a stream, a queue, and an index behind the alias (none where ``mappings`` is None)."""
    monkeypatch.setattr(consumer, "_LONGEST_POLL_S", 1.0)
    made: list[DeadLetterRig] = []

    def make(
        stamps: StampRule = QUICK, mappings: dict[str, Any] | None = ANYTHING, sqs_url: str = "", **settings: Any
    ) -> DeadLetterRig:
        rig = make_rig(**settings)
        letters = DeadLetterRig(rig, stamps, sqs_url, create_streaming_table(rig))
        made.append(letters)
        if mappings is not None:
            letters.create_index(letters.rig.index, letters.rig.alias, mappings=mappings)
        return letters

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def quiet_opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One whose health and settings are those of the preflight's tests."""
    with opensearch.started(tmp_path_factory.mktemp("opensearch-quiet"), heap="512m") as server:
        yield server


@pytest.fixture
def make_ready(ministack_server: Server, quiet_opensearch: Server) -> Iterator[MakeReady]:
    """Environments in which every check passes; closed when the test ends."""
    with ExitStack() as stack:

        def make(**settings: Any) -> ReadyEnvironment:
            defaults = {"aws_url": ministack_server.url, "search_url": quiet_opensearch.url}
            environment = ReadyEnvironment(**{**defaults, **settings})
            stack.callback(environment.close)
            return environment.build()

        yield make


@pytest.fixture
def opensearch_proxy(opensearch_server: Server) -> Iterator[FaultProxy]:
    with fault_proxy(opensearch_server.url) as proxy:
        yield proxy
    assert proxy.failures == []


@pytest.fixture
def dynamodb_proxy(ministack_server: Server) -> Iterator[FaultProxy]:
    with fault_proxy(ministack_server.url) as proxy:
        yield proxy
    assert proxy.failures == []


@pytest.fixture(scope="module")
def opensearch_for_killing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that the tests of a module may kill; each leaves it running."""
    with opensearch.started(tmp_path_factory.mktemp("opensearch-killed"), heap="512m") as server:
        yield server
