"""Ports for servers: two workers of one test run never choose the same one."""

import pytest

from tools.local import ports


def chosen(monkeypatch: pytest.MonkeyPatch, worker: str, count: str) -> set[int]:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", count)
    monkeypatch.setattr(ports, "is_free", lambda _: True)
    monkeypatch.setattr(ports, "_given_out", set())
    return {ports.free_port(range(9_201, 9_300)) for _ in range(45)}


def test_workers_choose_among_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not chosen(monkeypatch, "gw0", "2") & chosen(monkeypatch, "gw1", "2")


def test_a_process_alone_has_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    monkeypatch.setattr(ports, "is_free", lambda _: True)
    monkeypatch.setattr(ports, "_given_out", set())
    assert {ports.free_port(range(9_201, 9_211)) for _ in range(10)} == set(range(9_201, 9_211))
    with pytest.raises(ports.NoFreePortError):
        ports.free_port(range(9_201, 9_211))
