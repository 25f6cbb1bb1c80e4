"""What may happen to a replay of dead letters on the way: it is killed, OpenSearch is gone, others write meanwhile."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from dynamo_opensearch.core.dead_letters.messages import Message
from dynamo_opensearch.core.dead_letters.queue.dead_letter_queue import DeadLetterQueue
from dynamo_opensearch.core.dead_letters.replay.consumer import Replay
from dynamo_opensearch.core.dead_letters.replay.report import ReplayReport
from tests.support.dead_letter_rig import DeadLetterRig, MakeDeadLetterRig
from tests.support.failing_indexer import fail_on, failing_indexer, record_of
from tests.support.fakes import quick_retry
from tests.support.indexing import Churn
from tests.support.rig import small_item
from tools.local.processes import Server

OLD, FRESH = range(60), range(60, 160)


def wait_until(is_so: Callable[[], bool], what: str, timeout_s: float = 40.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end_s, f"never {what}"
        time.sleep(0.05)


def send_old_and_fresh(letters: DeadLetterRig) -> int:
    """Messages that are done at their first look, and such as wait for a second one; how many."""
    letters.rig.put([small_item(number) for number in OLD])
    letters.send(*(record_of(letters, number) for number in OLD))
    fail_on(letters, FRESH, batch_size=1)
    return letters.depth()[0]


def is_in_the_midst(letters: DeadLetterRig, messages: int) -> bool:
    """Whether messages were deleted, and all that are left are in somebody's hands, by what the queue says."""
    visible, in_flight = letters.depth()
    return visible == 0 and 0 < in_flight < messages


@contextmanager
def other_process(letters: DeadLetterRig, folder: Path, *, looks: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A consumer that a test may kill; nothing of it is left."""
    rig = letters.rig
    facts = {
        "dynamodb": rig.direct_dynamodb,
        "opensearch": rig.direct_opensearch,
        "sqs": rig.direct_dynamodb,
        "base": rig.base,
        "arn": letters.arn,
        "margin_s": rig.stamps.margin_s,
        "looks": looks,
    }
    (folder / "facts.json").write_bytes(orjson.dumps(facts))
    command = [sys.executable, "-m", "tests.support.replay_process", str(folder / "facts.json")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


def assert_all_replayed(letters: DeadLetterRig) -> None:
    assert letters.depth() == (0, 0)
    assert letters.rig.differences() == []
    assert letters.parking.parked == {}


def test_a_consumer_is_killed_in_mid_run_and_the_next_one_waits_for_what_it_held(
    make_dead_letters: MakeDeadLetterRig, tmp_path: Path
) -> None:
    letters = make_dead_letters()
    messages = send_old_and_fresh(letters)
    with other_process(letters, tmp_path):
        wait_until(lambda: is_in_the_midst(letters, messages), "in the midst of it")
    held = letters.depth()[1]
    assert 0 < held < messages, "it is dead, and its messages are invisible"
    assert len(letters.rig.documents()) >= len(OLD), "what was deleted is in the index"

    report = letters.replay()

    assert_all_replayed(letters)
    assert report.received == report.replayed == held


def test_opensearch_is_gone_in_mid_run(make_dead_letters: MakeDeadLetterRig, opensearch_for_killing: Server) -> None:
    letters = make_dead_letters(direct_opensearch=opensearch_for_killing.url, retry=quick_retry(120))
    messages = send_old_and_fresh(letters)
    reports: list[ReplayReport] = []
    running = threading.Thread(target=lambda: reports.append(letters.replay()))
    running.start()
    wait_until(lambda: is_in_the_midst(letters, messages), "in the midst of it")
    opensearch_for_killing.kill()
    time.sleep(4 + 2)  # second looks are due now
    assert letters.depth()[1] > 0
    opensearch_for_killing.start()
    running.join()
    assert_all_replayed(letters)
    assert reports[0].replayed == messages


def test_items_change_and_the_indexer_lags_and_fails_while_their_dead_letters_are_replayed(
    make_dead_letters: MakeDeadLetterRig,
) -> None:
    letters = make_dead_letters()
    churn = Churn(letters.rig, keys=40, pause_s=0.05)
    with failing_indexer(letters, rate=0.1, batch_size=3, lag_s=1.0) as mapping:
        with churn.going_on():
            time.sleep(2)
            replayed = sum(letters.replay(letters.intake(most=40)).replayed for _ in range(2))
        mapping.wait_until_caught_up()
    assert replayed > 0
    assert churn.changes > 100
    assert min(mapping.counts.delivered, mapping.counts.dead_lettered) > 50
    letters.replay()
    assert_all_replayed(letters)


class Twice:
    """The queue, which hands over every message twice: while it is worked on, and once more when it was deleted."""

    def __init__(self, queue: DeadLetterQueue) -> None:
        self._queue, self._again = queue, list[Message]()
        self.delete, self.release, self.depth = queue.delete, queue.release, queue.depth

    def receive(self, most: int, wait_s: float) -> list[Message]:
        again, self._again = self._again[:most], self._again[most:]
        found = self._queue.receive(most - len(again), wait_s)
        self._again += [message for message in found for _ in range(2)]
        return again + found


def test_every_message_is_delivered_three_times(make_dead_letters: MakeDeadLetterRig) -> None:
    letters = make_dead_letters()
    messages = send_old_and_fresh(letters)
    with letters.queue() as queue:
        settings = letters.replay_settings(letters.intake(), messages_per_pass=40)
        report = Replay(settings, letters.replay_ports(Twice(queue))).run()
    assert_all_replayed(letters)
    assert (report.received, report.replayed, report.again) == (messages, messages, 2 * messages)


class Forgetful(DeadLetterQueue):
    """It does not prolong what it holds, which therefore comes again, to others as well."""

    def receive(self, most: int, wait_s: float) -> list[Message]:
        self._keeper.start = lambda: None  # type: ignore[method-assign]
        return super().receive(most, wait_s)


def test_messages_become_visible_while_two_consumers_work_on_them(make_dead_letters: MakeDeadLetterRig) -> None:
    letters = make_dead_letters()
    messages = send_old_and_fresh(letters)
    rig, reports = letters.rig, list[ReplayReport]()

    def consume() -> None:
        with Forgetful(letters.sqs, letters.queue_url, rig.clock, rig.retry, visibility_s=2) as queue:
            reports.append(Replay(letters.replay_settings(letters.intake()), letters.replay_ports(queue)).run())

    in_parallel([consume, consume])
    assert_all_replayed(letters)
    assert sum(report.received for report in reports) > messages, "both had some of them"


def in_parallel(tasks: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
