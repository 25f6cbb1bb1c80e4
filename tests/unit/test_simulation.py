"""The simulation itself: order by simulated time, one task at a time, the same order every time."""

import queue
import random
import threading
import time
from functools import partial

import pytest

from dynamo_opensearch.core.offer import in_flight
from tests.support.simulated_threads import (
    SimulatedCondition,
    SimulatedExecutor,
    SimulatedQueue,
    SimulatedThread,
    simulated_threads,
)
from tests.support.simulation import START_US, SimulatedClock, Simulation, SimulationStuckError


def test_tasks_run_in_the_order_of_simulated_time_whatever_order_they_were_started_in() -> None:
    simulation, seen = Simulation(), []

    def work(name: str, waits: list[float]) -> None:
        for seconds in waits:
            simulation.sleep(seconds)
            seen.append((simulation.now_s, name))

    simulation.spawn("slow", lambda: work("slow", [3.0, 3.0]))
    simulation.spawn("quick", lambda: work("quick", [1.0, 1.0, 3.0]))
    simulation.run(20)
    assert seen == [(1.0, "quick"), (2.0, "quick"), (3.0, "slow"), (5.0, "quick"), (6.0, "slow")]


def test_an_hour_passes_at_once_and_each_clock_has_its_skew() -> None:
    simulation = Simulation()
    clock, ahead = SimulatedClock(simulation), SimulatedClock(simulation, 2.0)
    began = time.monotonic()
    simulation.spawn("sleeper", lambda: clock.sleep(3600))
    simulation.run(20)
    assert time.monotonic() - began < 5
    assert clock.time_us() == START_US + 3_600_000_000
    assert ahead.time_us() - clock.time_us() == 2_000_000
    assert clock.monotonic_s() == ahead.monotonic_s()


def trace(seed: int) -> list[tuple[float, int]]:
    simulation, chance, seen = Simulation(), random.Random(seed), []

    def work(number: int) -> None:
        for _ in range(20):
            simulation.sleep(chance.choice([0, 0, 0.5, chance.random()]))
            seen.append((simulation.now_s, number))

    for number in range(10):
        simulation.spawn(f"task {number}", partial(work, number))
    simulation.run(20)
    return seen


def test_the_same_seed_gives_the_same_order() -> None:
    assert trace(1) == trace(1) != trace(2)


def test_a_pool_runs_as_many_jobs_side_by_side_as_it_has_workers() -> None:
    simulation, ends = Simulation(), []

    def work() -> None:
        def job(number: int) -> int:
            simulation.sleep(1)
            ends.append(simulation.now_s)
            return number

        with SimulatedExecutor(2, "pool") as pool:
            assert list(pool.map(job, range(5))) == [0, 1, 2, 3, 4]

    simulation.spawn("owner", work)
    simulation.run(20)
    assert ends == [1, 1, 2, 2, 3]


def test_a_jobs_error_comes_out_where_its_result_is_asked_for() -> None:
    simulation, errors = Simulation(), []

    def fail() -> None:
        simulation.sleep(1)
        raise ValueError("no")

    def work() -> None:
        pool = SimulatedExecutor(1)
        future = pool.submit(fail)
        try:
            future.result()
        except ValueError as error:
            errors.append(str(error))
        pool.shutdown()

    simulation.spawn("owner", work)
    simulation.run(20)
    assert errors == ["no"]


def test_a_lock_that_is_held_while_time_passes_keeps_others_out_and_lets_time_pass() -> None:
    simulation, seen = Simulation(), []
    lock = SimulatedCondition()

    def work(name: str) -> None:
        with lock:
            seen.append((simulation.now_s, name))
            simulation.sleep(2)

    simulation.spawn("first", lambda: work("first"))
    simulation.spawn("second", lambda: work("second"))
    simulation.run(20)
    assert seen == [(0, "first"), (2, "second")]


def test_the_packages_own_gate_waits_in_simulated_time() -> None:
    simulation, passed = Simulation(), []
    with simulated_threads():
        gate = in_flight.InFlightLimit(1)

        def work() -> None:
            gate.acquire()
            passed.append(simulation.now_s)
            simulation.sleep(5)
            gate.release()

        for _ in range(3):
            simulation.spawn("worker", work)
        simulation.run(20)
    assert passed == [0, 5, 10]
    assert vars(in_flight)["threading"] is threading


def test_a_queue_waits_for_another_thread_and_no_longer_than_it_is_told() -> None:
    simulation, got = Simulation(), []

    def work() -> None:
        answers = SimulatedQueue()

        def answer() -> None:
            simulation.sleep(3)
            answers.put("late")

        SimulatedThread(answer).start()
        with pytest.raises(queue.Empty):
            answers.get(timeout=2)
        got.append((answers.get(timeout=5), simulation.now_s))

    simulation.spawn("owner", work)
    simulation.run(20)
    assert got == [("late", 3)]


def test_a_killed_process_ends_where_it_waits_with_all_its_tasks() -> None:
    simulation, seen = Simulation(), []

    def child() -> None:
        simulation.sleep(10)
        seen.append("child")

    def owner() -> None:
        try:
            SimulatedExecutor(1).submit(child).result()
        finally:
            simulation.sleep(0)  # what a killed process would do at last does not happen
            seen.append("owner")

    simulation.spawn("owner", owner, process="worker")
    simulation.spawn("killer", lambda: simulation.kill("worker"), after_s=1)
    simulation.run(20)
    assert (seen, simulation.now_s) == ([], 1)
    assert not simulation.is_alive("worker")


def test_an_error_of_a_task_ends_the_run_and_is_raised() -> None:
    simulation, seen = Simulation(), []

    def fail() -> None:
        simulation.sleep(1)
        raise ValueError("broken")

    def other() -> None:
        simulation.sleep(2)
        seen.append("other")

    simulation.spawn("bad", fail)
    simulation.spawn("other", other)
    with pytest.raises(ValueError, match="broken"):
        simulation.run(20)
    assert seen == []


def test_tasks_that_wait_for_ever_are_named() -> None:
    simulation = Simulation()
    simulation.spawn("the one that waits", simulation.park)
    with pytest.raises(SimulationStuckError, match="the one that waits"):
        simulation.run(20)


def test_a_thread_that_is_no_task_is_told_so() -> None:
    with pytest.raises(SimulationStuckError, match="not one of a simulation"):
        Simulation().sleep(1)
