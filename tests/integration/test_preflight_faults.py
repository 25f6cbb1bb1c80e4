"""A healthy environment passes every check. With one thing wrong in it exactly one fails, and says how to mend it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dynamo_opensearch.core.preflight.checklist import CHECKS, run_check
from dynamo_opensearch.core.preflight.findings import CheckResult
from tests.support import remedies
from tests.support.preflight_faults import FAULTS, PreflightFault
from tests.support.ready_environment import ReadyEnvironment
from tools.local import opensearch
from tools.local.processes import Server

Build = Callable[..., ReadyEnvironment]


@pytest.fixture(scope="module")
def own_opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One whose health and settings are those of these tests."""
    with opensearch.started(tmp_path_factory.mktemp("opensearch-preflight"), heap="512m") as server:
        yield server


@pytest.fixture
def build(ministack_server: Server, own_opensearch: Server) -> Iterator[Build]:
    """Healthy environments, closed when the test ends."""
    with ExitStack() as stack:

        def made(**settings: str) -> ReadyEnvironment:
            environment = ReadyEnvironment(ministack_server.url, own_opensearch.url, **settings)
            stack.callback(environment.close)
            return environment.build()

        yield made


def results(environment: ReadyEnvironment) -> dict[str, CheckResult]:
    with environment.side() as side:
        return {name: run_check(name, side) for name in CHECKS}


def not_passed(found: dict[str, CheckResult]) -> dict[str, str]:
    return {name: str(one) for name, one in found.items() if one.state != "passed"}


@pytest.mark.parametrize("kind", ["vpce", "aos", "domain"])
def test_a_healthy_environment_passes_every_check(build: Build, kind: str) -> None:
    assert not_passed(results(build(kind=kind))) == {}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_single_fault_fails_exactly_its_check_with_the_way_to_mend_it(build: Build, fault: PreflightFault) -> None:
    environment = build(kind=fault.kind)
    with ExitStack() as stack:
        fault.put(environment, stack)
        found = results(environment)
        assert {name for name, one in found.items() if one.state == "failed"} == {fault.check}, not_passed(found)
        assert {name for name, one in found.items() if one.state == "blocked"} == fault.blocks
        findings = found[fault.check].findings
        assert any(fault.what in one.what and fault.remedy in one.remedy for one in findings), found[fault.check]
        for one in findings:
            for line in remedies.commands(one.remedy):
                remedies.check_line(line)
        if fault.mends:
            for one in findings:
                remedies.run(one.remedy, environment.make)
            assert not_passed(results(environment)) == {}
