"""What docker-compose.yaml runs as `sample-data`, against DynamoDB Local as there."""

from pathlib import Path

from tools import load_members
from tools.local import connections, dynamodb_local, members


def test_members_are_loaded_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    with dynamodb_local.started(tmp_path) as server:
        for _ in range(2):
            assert load_members.main(["--endpoint-url", server.url, "--count", "60"]) == 0
        client = connections.aws_client("dynamodb", server.url)
        assert client.scan(TableName=members.TABLE, Select="COUNT")["Count"] == 60
