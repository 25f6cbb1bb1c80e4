"""Notes each distinct call of AWS and each request to OpenSearch, by the DAG and the task that made it.

It is loaded into every process of a test's Airflow, so it imports nothing but the standard library, and touches a
client's module only when something else imports it. Written down are names of resources, never what they hold.
"""

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

OPENSEARCH = "opensearch-http"
WATCHER, API_SERVER = "(asset watcher)", "(api server)"
"""What stands for a DAG's id where no task of one calls."""

NAMES = frozenset(
    {
        "Bucket",
        "Delete",
        "DomainName",
        "FunctionName",
        "Key",
        "KeyId",
        "PolicyArn",
        "PolicySourceArn",
        "Prefix",
        "PrefixListId",
        "Qualifier",
        "QueueName",
        "QueueUrl",
        "RequestItems",
        "RoleName",
        "StreamArn",
        "TableName",
        "UUID",
        "UserPoolId",
        "VpcEndpointIds",
        "cluster",
        "service",
        "serviceDeploymentArns",
        "serviceRevisionArns",
        "services",
        "taskDefinition",
    }
)
"""Parameters that name a resource. A rule in tools/iam/operations.py can only use these."""

Texts = Mapping[str, str]
"""Target files by name."""


class Recorder:
    """Lines of JSON in files of ``folder``, one for each process. Thread-safe; forks begin files of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._noted: set[str] = set()
        self._lock = threading.Lock()

    def note(self, service: str, operation: str, names: Mapping[str, Any]) -> None:
        """Write the call down, unless this process or the one it was forked from has."""
        dag_id, task_id, targets = caller()
        line: dict[str, Any] = {"dag_id": dag_id, "task_id": task_id, "service": service, "operation": operation}
        line["names"] = {name: names[name] for name in sorted(names)}
        text = json.dumps(line)
        with self._lock:
            if text in self._noted:
                return
            self._noted.add(text)
            line["targets"] = self._store(targets if targets is not None else _target_files())
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / f"calls-{os.getpid()}.ndjson").open("a") as file:
                file.write(json.dumps(line) + "\n")

    def _store(self, targets: Texts) -> str:
        """Name of the file that keeps the target files as they are at this moment."""
        text = json.dumps(targets, sort_keys=True)
        name = f"targets-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        if not (self._folder / name).exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            made = self._folder / f"{name}.{os.getpid()}"
            made.write_text(text)
            made.rename(self._folder / name)
        return name


_attributed: tuple[str, str, Texts] | None = None


@contextmanager
def attributed_to(dag_id: str, task_id: str, targets: Texts) -> Iterator[None]:
    """While this lasts, whatever this process calls counts as that task's. ``targets``: target files, by name."""
    global _attributed
    before, _attributed = _attributed, (dag_id, task_id, targets)
    try:
        yield
    finally:
        _attributed = before


def caller() -> tuple[str, str, Texts | None]:
    """DAG, task and, where somebody said so, the target files."""
    if _attributed is not None:
        return _attributed
    if dag_id := os.environ.get("AIRFLOW_CTX_DAG_ID"):
        return dag_id, os.environ.get("AIRFLOW_CTX_TASK_ID", ""), None
    # In the triggerer, where this is how its log lines know of whom they are.
    logged = sys.modules.get("structlog.contextvars")
    bound = {} if logged is None else logged.get_contextvars()
    if bound.get("dag_id"):
        return str(bound["dag_id"]), str(bound["task_id"]), None
    return (WATCHER if "trigger_id" in bound else API_SERVER), "", None


def _target_files() -> Texts:
    folder = os.environ.get("DYNAMO_OPENSEARCH_INCLUDE")
    if not folder:
        return {}
    return {path.name: _whole(path) for path in sorted(Path(folder, "targets").glob("*.yaml"))}


def _whole(path: Path) -> str:
    """A test that edits a file empties it for a moment."""
    for _ in range(100):
        if text := path.read_text():
            return text
        time.sleep(0.01)
    return ""


def record_from_now_on(folder: str | Path) -> None:
    """Note into ``folder`` what clients call that are made after this."""
    recorder = Recorder(Path(folder))
    patches: dict[str, Callable[[ModuleType], None]] = {
        "botocore.serialize": lambda module: _watch_aws(module, recorder),
        "opensearchpy.connection.http_urllib3": lambda module: _watch_opensearch(module, recorder),
    }
    for name in patches.keys() & sys.modules.keys():
        patches.pop(name)(sys.modules[name])
    if patches:
        sys.meta_path.insert(0, _PatchedImport(patches))


def _watch_aws(module: Any, recorder: Recorder) -> None:
    """Every client of botocore and of aiobotocore has its requests written by what this function makes."""
    create = module.create_serializer

    def create_watched(*arguments: Any, **named: Any) -> Any:
        return _WatchedSerializer(create(*arguments, **named), recorder)

    module.create_serializer = create_watched


class _WatchedSerializer:
    def __init__(self, serializer: Any, recorder: Recorder) -> None:
        self._serializer, self._recorder = serializer, recorder

    def serialize_to_request(self, parameters: Mapping[str, Any], operation_model: Any) -> Any:
        names = {name: _name(parameters[name]) for name in NAMES & parameters.keys()}
        self._recorder.note(operation_model.service_model.service_name, operation_model.name, names)
        return self._serializer.serialize_to_request(parameters, operation_model)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._serializer, name)


def _name(value: Any) -> Any:
    """Of a request for items only the tables, of one to delete objects their keys."""
    if isinstance(value, Mapping) and "Objects" in value:
        return sorted(one["Key"] for one in value["Objects"])
    return sorted(value) if isinstance(value, Mapping) else value


def _watch_opensearch(module: Any, recorder: Recorder) -> None:
    perform = module.Urllib3HttpConnection.perform_request

    def perform_watched(connection: Any, method: str, url: str, *arguments: Any, **named: Any) -> Any:
        recorder.note(OPENSEARCH, method, {"path": url})
        return perform(connection, method, url, *arguments, **named)

    module.Urllib3HttpConnection.perform_request = perform_watched


class _PatchedImport(MetaPathFinder):
    """Lets modules be imported as ever, and patches them then."""

    def __init__(self, patches: dict[str, Callable[[ModuleType], None]]) -> None:
        self._patches = patches

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Of the modules to be patched; of all others nothing, so that the next finder is asked."""
        patch = self._patches.pop(fullname, None)
        spec = None if patch is None else PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None and patch is not None:
            spec.loader = _PatchingLoader(spec.loader, patch)
        return spec


class _PatchingLoader(Loader):
    def __init__(self, loader: Any, patch: Callable[[ModuleType], None]) -> None:
        self._loader, self._patch = loader, patch

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._patch(module)
