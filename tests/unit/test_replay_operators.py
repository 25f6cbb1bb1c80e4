"""The operators of a replay: shares, reports, gates, and the files that they leave."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import ObjectStoragePath

from dynamo_opensearch.core.dead_letters.messages import Message
from dynamo_opensearch.core.dead_letters.parking import ParkedMessage
from dynamo_opensearch.core.dead_letters.replay.report import ParkedSample, ReplayReport
from dynamo_opensearch.core.reports import OfferReport
from dynamo_opensearch.operators import replay
from dynamo_opensearch.operators.dead_letter_files import ObjectStorageParking, ObjectStorageRejectFiles
from tests.support.adapters import FakeInstance, connect

REPORT = ReplayReport(
    received=5,
    replayed=3,
    parked=2,
    shapes={"on-failure": 4, "not understood": 1},
    kinds={"not understood": 1, "lost by the stream": 1},
    reasons={"not understood: no JSON": 1, "lost by the stream: trimmed": 1},
    samples=(ParkedSample(id="m-1", kind="not understood", reason="no JSON", ids=("member-7",)),),
    offer=OfferReport(offered=4, indexed=2, stale=2),
)


@pytest.mark.parametrize(
    ("most", "consumers", "shares"),
    [(None, 2, [None, None]), (5, 2, [3, 2]), (1, 3, [1]), (6, 3, [2, 2, 2])],
)
def test_messages_are_shared_out_and_no_consumer_gets_none(
    most: int | None, consumers: int, shares: list[int | None]
) -> None:
    planned = replay._shares(most, consumers)
    assert [one["most"] for one in planned] == shares
    assert [one["consumer"] for one in planned] == list(range(len(shares)))


def run_report(reports: list[Any], instance: FakeInstance) -> Any:
    operator = replay.ReportReplayOperator(task_id="report", target="members", reports=reports)
    return operator.execute(instance.context)


def test_the_reports_of_all_consumers_are_added_kept_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connections = connect(monkeypatch)
    total = run_report([REPORT.to_json(), REPORT.to_json()], FakeInstance())
    assert (total["received"], total["replayed"], total["parked"], total["waiting"]) == (10, 6, 4, 2)
    (kept,) = connections.stores["replays"].load()["runs"]  # type: ignore[index]
    assert kept["report"]["received"] == 10
    assert "4 messages are parked in" in capsys.readouterr().out
    run_report([REPORT.to_json()], FakeInstance())
    assert len(connections.stores["replays"].load()["runs"]) == 1, "a run has one report"  # type: ignore[index]


def test_refused_documents_beyond_what_is_allowed_fail_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch)
    refused = ReplayReport(received=1, replayed=1, refused=1, reasons={"mapper_parsing_exception": 1})
    with pytest.raises(AirflowFailException, match="1 documents of replayed dead letters were refused"):
        run_report([refused.to_json()], FakeInstance())


def test_a_report_survives_xcom_and_shows_no_key() -> None:
    from dynamo_opensearch.core.dead_letters.replay.results import shareable

    value = shareable(REPORT, show_keys=False)
    assert orjson.loads(orjson.dumps(value)) == value
    assert "member-7" not in str(value)
    assert ReplayReport.from_json(shareable(REPORT, show_keys=True)) == REPORT


def parked(message_id: str) -> ParkedMessage:
    message = Message(id=message_id, body="garbage \N{SNOWMAN}", receives=3, sent_us=5, first_received_us=6)
    return ParkedMessage(
        message=message, kind="not understood", reason="no JSON", parked_us=7, run_id="run", ids=("a", "b")
    )


def test_a_parked_message_lies_whole_in_a_file_of_its_own(tmp_path: Path) -> None:
    parking = ObjectStorageParking(ObjectStoragePath(f"file://{tmp_path}/parked"))
    assert list(parking.names()) == []
    for message_id in ("one", "t/w o"):
        parking.put(parked(message_id))
        parking.put(parked(message_id))
    names = list(parking.names())
    assert len(names) == 2
    assert [parking.get(name) for name in names] == [parked("one"), parked("t/w o")]
    assert (tmp_path / "parked").stat().st_mode & 0o077 == 0
    parking.remove(names[0])
    parking.remove(names[0])
    assert list(parking.names()) == names[1:]
    assert parking.get(names[0]) is None


def test_reject_files_are_found_wherever_a_run_has_left_them(tmp_path: Path) -> None:
    files = ObjectStorageRejectFiles(ObjectStoragePath(f"file://{tmp_path}"))
    for folder in ("run-1/copy-0", "follow/members-v1", "run-2/replay-0/members-v2"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "part-00000.ndjson").write_text(folder)
    (tmp_path / "run-1" / "notes.txt").write_text("no rejects")
    names = list(files.names())
    assert sorted(filter(None, map(files.read, names))) == [
        "follow/members-v1",
        "run-1/copy-0",
        "run-2/replay-0/members-v2",
    ]
    files.remove(names[0])
    files.remove(names[0])
    assert files.read(names[0]) is None
    assert len(list(files.names())) == 2
