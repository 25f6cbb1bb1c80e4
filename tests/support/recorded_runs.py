"""Where the calls of a test are written down: a folder for each test module, its last run only."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import botocore.serialize
from opensearchpy.connection.http_urllib3 import Urllib3HttpConnection

from tests.support.call_recorder import recorded_calls
from tools.local import paths

CALLS = paths.BUILD / "calls"
RECORDER = paths.ROOT / "tests" / "support" / "call_recorder"
_begun: set[str] = set()


def folder_for_calls() -> Path:
    """A new folder, below that of the test module which is running."""
    module = Path(os.environ["PYTEST_CURRENT_TEST"].partition("::")[0]).stem
    if module not in _begun:
        _begun.add(module)
        shutil.rmtree(CALLS / module, ignore_errors=True)
    return CALLS / module / uuid.uuid4().hex[:8]


def recording_variables(folder: Path, python_path: str) -> dict[str, str]:
    """What makes every Python process write its calls down. ``python_path``: what else is to be on it."""
    return {"PYTHONPATH": f"{RECORDER}{os.pathsep}{python_path}", "RECORDED_CALLS": str(folder)}


@contextmanager
def recorded(dag_id: str, task_id: str, targets: recorded_calls.Texts, folder: Path | None = None) -> Iterator[Path]:
    """While this lasts, clients that are made write down what they call, as that task's; yields the folder.

    ``folder``: another one than that of the test module, for calls that no policy is to be made from.
    """
    folder = folder or folder_for_calls()
    with (
        mock.patch.object(botocore.serialize, "create_serializer", botocore.serialize.create_serializer),
        mock.patch.object(Urllib3HttpConnection, "perform_request", Urllib3HttpConnection.perform_request),
        recorded_calls.attributed_to(dag_id, task_id, targets),
    ):
        recorded_calls.record_from_now_on(folder)
        yield folder
