"""A running Airflow with this package, its servers beside it, and a target whose files a test may change."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.support.covered import uncovered
from tests.support.recorded_runs import folder_for_calls, recording_variables
from tools.local import airflow, connections, http, members, ministack, opensearch, paths, ports
from tools.local.airflow_api import FINISHED, AirflowApi
from tools.local.processes import Launch, Server, running, running_together

DAG_ID = "members_backfill"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Handles on the servers. ``include`` is the folder that Airflow reads targets and mappings from."""

    airflow: AirflowApi
    airflow_home: Path
    dynamodb: Any
    aws: Server
    search: Server
    include: Path

    def start(self, **conf: object) -> str:
        """Trigger a backfill of the members; its run id."""
        return self.airflow.trigger(DAG_ID, conf)

    def finish(self, run_id: str, timeout_s: float = 240.0, dag_id: str = DAG_ID) -> str:
        """Wait for the run's end; its state."""
        return wait_for(lambda: _finished(self.airflow.run_state(dag_id, run_id)), timeout_s, "the run to end")

    def tasks(self, run_id: str, task_id: str, dag_id: str = DAG_ID) -> list[dict[str, Any]]:
        """The instances of one task."""
        return [one for one in self.airflow.task_instances(dag_id, run_id) if one["task_id"] == task_id]

    def states(self, run_id: str, dag_id: str = DAG_ID) -> dict[str, set[str | None]]:
        """The states that the instances of each task are in."""
        found: dict[str, set[str | None]] = {}
        for one in self.airflow.task_instances(dag_id, run_id):
            found.setdefault(one["task_id"], set()).add(one["state"])
        return found

    def returned(
        self, run_id: str, task_id: str, map_index: int = -1, key: str = "return_value", dag_id: str = DAG_ID
    ) -> Any:
        """What a task returned."""
        return self.airflow.returned(dag_id, run_id, task_id, map_index=map_index, key=key)

    def log(self, run_id: str, task_id: str, dag_id: str = DAG_ID) -> str:
        """All that the instances of a task logged in their last tries."""
        return "\n".join("\n".join(self.airflow.log_lines(one)) for one in self.tasks(run_id, task_id, dag_id))

    def search_call(self, path: str, method: str = "GET", body: object = None) -> Any:
        """A plain request to OpenSearch."""
        return http.call(f"{self.search.url}{path}", method=method, body=body)

    def change_target(self, change: Callable[[str], str]) -> None:
        """Edit the target's file; Airflow reads it when a task runs."""
        path = self.include / "targets" / "members.yaml"
        path.write_text(change(path.read_text()))

    def forget_everything(self, items: int) -> None:
        """A table with that many members, and no index."""
        self.search_call("/members-*", method="DELETE")
        if members.TABLE in self.dynamodb.list_tables()["TableNames"]:
            self.dynamodb.delete_table(TableName=members.TABLE)
        members.create_table(self.dynamodb)
        connections.aws_client("sqs", self.aws.url).create_queue(QueueName=members.DEAD_LETTER_QUEUE)
        members.load(self.dynamodb, members.TABLE, items)


def _finished(state: str) -> str | None:
    return state if state in FINISHED else None


def wait_for(look: Callable[[], T | None], timeout_s: float, what: str) -> T:
    """Look until there is something."""
    deadline = time.monotonic() + timeout_s
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s for {what}"
        time.sleep(0.2)
    return found


@contextmanager
def deployed(
    folder: Path,
    changes: Mapping[str, str] = {},
    aws: Launch | None = None,
    search: Launch | None = None,
    prepare: Callable[[Deployment], None] | None = None,
) -> Iterator[Deployment]:
    """Start all servers in a folder; the target's retries come after a second.

    Airflow's calls are recorded, and in the end held against the policies of docs/iam.md.

    ``aws``, ``search``: a MiniStack and an OpenSearch of one's own. ``prepare``: what is to be done with these two
    before Airflow starts, and with it the DAGs that are always on.
    """
    include = _made_include(folder / "include")
    aws = aws or ministack.plan_launch(folder / "ministack", ports.free_port())
    search = search or opensearch.plan_launch(
        folder / "opensearch", ports.free_port(opensearch.HTTP_PORTS), ports.free_port(), "512m"
    )
    calls = folder_for_calls()
    settings = {
        **connections.connections(aws, search),
        "DYNAMO_OPENSEARCH_INCLUDE": str(include),
        **changes,
        **recording_variables(calls, changes.get("PYTHONPATH", str(paths.ROOT / "plugins"))),
    }
    scheduler = airflow.plan_launch(folder / "airflow", ports.free_port(), settings)

    def on(aws_server: Server, search_server: Server) -> Deployment:
        return Deployment(
            airflow=AirflowApi(scheduler.url),
            airflow_home=folder / "airflow",
            dynamodb=connections.aws_client("dynamodb", aws_server.url),
            aws=aws_server,
            search=search_server,
            include=include,
        )

    with _started(aws, search, scheduler, on, prepare) as deployment:
        deployment.change_target(lambda text: text.replace("  owner: search", "  owner: search\n  retry_delay_s: 1"))
        deployment.airflow.wait_for_dag(DAG_ID)
        deployment.airflow.unpause(DAG_ID)
        yield deployment
    assert uncovered(calls) == [], "calls that no policy of docs/iam.md covers"


def _made_include(include: Path) -> Path:
    """A copy of the project's, in which every target has DAGs."""
    (include / "targets").mkdir(parents=True)
    (include / "mappings").mkdir()
    for name in ("targets/members.yaml", "targets/orders.yaml", "mappings/members.json", "mappings/orders.json"):
        text = (paths.ROOT / "include" / name).read_text()
        (include / name).write_text(text.replace("enabled: false", "enabled: true"))
    return include


@contextmanager
def _started(
    aws: Launch,
    search: Launch,
    scheduler: Launch,
    on: Callable[[Server, Server], Deployment],
    prepare: Callable[[Deployment], None] | None,
) -> Iterator[Deployment]:
    """All at once, where nothing is to be prepared."""
    if prepare is None:
        with running_together([aws, search, scheduler]) as (aws_server, search_server, _):
            yield on(aws_server, search_server)
        return
    with running_together([aws, search]) as (aws_server, search_server):
        deployment = on(aws_server, search_server)
        prepare(deployment)
        with running(scheduler):
            yield deployment
