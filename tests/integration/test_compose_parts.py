"""What docker-compose.yaml gives its containers, tried without them: the sample data, and the queue's settings."""

from pathlib import Path

import pytest

from tools import load_members
from tools.local import connections, dynamodb_local, elasticmq, members, paths


def test_members_are_loaded_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    with dynamodb_local.started(tmp_path) as server:
        for _ in range(2):
            assert load_members.main(["--endpoint-url", server.url, "--count", "60"]) == 0
        client = connections.aws_client("dynamodb", server.url)
        assert client.scan(TableName=members.TABLE, Select="COUNT")["Count"] == 60


def test_the_queue_server_has_its_queue_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (paths.ROOT / "docker" / "elasticmq.conf").read_text().replace("{", "{{").replace("}", "}}")
    for theirs, ours in (('"sqs"', '"{host}"'), ("0.0.0.0", "{host}"), ("9324", "{port}")):
        assert theirs in settings
        settings = settings.replace(theirs, ours)
    monkeypatch.setattr(elasticmq, "SETTINGS", settings)
    with elasticmq.started(tmp_path) as server:
        queues = connections.aws_client("sqs", server.url).list_queues()["QueueUrls"]
    assert [url.rpartition("/")[2] for url in queues] == ["members-indexer-dlq"]
