"""A second opinion: the checks of AWS's side find the same on moto as on MiniStack, where moto has their calls.

It has none of IAM's simulator (``roles``), and says of an event source mapping which version its alias leads to, not
the alias (``event_source_mapping``).
"""

from contextlib import ExitStack

import pytest

from dynamo_opensearch.core.preflight.checklist import run_check
from tests.support.preflight_faults import FAULTS, PreflightFault
from tests.support.ready_environment import MakeReady, ReadyEnvironment
from tools.local.processes import Server

ASKED_OF_MOTO = (
    "table",
    "stream",
    "vpc_endpoint",
    "cognito",
    "dead_letters",
    "dead_letter_alarm",
    "indexer_function",
)
TRIED = [fault for fault in FAULTS if fault.check in ASKED_OF_MOTO]


def not_passed(environment: ReadyEnvironment) -> dict[str, str]:
    """State of each check that did not pass."""
    with environment.side() as side:
        states = {name: run_check(name, side).state for name in ASKED_OF_MOTO}
    return {name: state for name, state in states.items() if state != "passed"}


@pytest.mark.parametrize("kind", ["vpce", "aos", "domain"])
def test_a_healthy_environment_passes(make_ready: MakeReady, moto_server: Server, kind: str) -> None:
    assert not_passed(make_ready(aws_url=moto_server.url, kind=kind)) == {}


@pytest.mark.parametrize("fault", TRIED, ids=str)
def test_a_single_fault_fails_exactly_its_check(
    make_ready: MakeReady, moto_server: Server, fault: PreflightFault
) -> None:
    environment = make_ready(aws_url=moto_server.url, kind=fault.kind)
    with ExitStack() as stack:
        fault.put(environment, stack)
        blocked = dict.fromkeys(fault.blocks & set(ASKED_OF_MOTO), "blocked")
        assert not_passed(environment) == {fault.check: "failed", **blocked}


def test_most_faults_are_tried() -> None:
    assert len(TRIED) >= 30
