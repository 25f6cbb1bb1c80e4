"""A healthy environment passes every check. With one thing wrong in it exactly one fails, and says how to mend it."""

from contextlib import ExitStack

import pytest

from tests.support import remedies
from tests.support.preflight_faults import FAULTS, PreflightFault
from tests.support.ready_environment import MakeReady


@pytest.mark.parametrize("kind", ["vpce", "aos", "domain"])
def test_a_healthy_environment_passes_every_check(make_ready: MakeReady, kind: str) -> None:
    assert make_ready(kind=kind).not_passed() == {}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_single_fault_fails_exactly_its_check_with_the_way_to_mend_it(
    make_ready: MakeReady, fault: PreflightFault
) -> None:
    environment = make_ready(kind=fault.kind)
    with ExitStack() as stack:
        fault.put(environment, stack)
        found = environment.results()
        states = {name: one.state for name, one in found.items() if one.state != "passed"}
        assert states == {fault.check: "failed", **dict.fromkeys(fault.blocks, "blocked")}, environment.not_passed()
        findings = found[fault.check].findings
        told = [one for one in findings if fault.what in one.what and fault.remedy in one.remedy]
        assert any(fault.found in one.found for one in told), str(found[fault.check])
        for one in findings:
            for line in remedies.commands(one.remedy):
                remedies.check_line(line)
        if fault.mends:
            for one in findings:
                remedies.run(one.remedy, environment.make)
            assert environment.not_passed() == {}
