"""Where the calls of a test's Airflow are written down: a folder for each test module, its last run only."""

import os
import shutil
import uuid
from pathlib import Path

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
