"""Every error of the package: survives a process boundary, and says what happened, where, and what to do."""

import importlib
import inspect
import pickle
import pkgutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import dynamo_opensearch.core
import dynamo_opensearch.indexer
from dynamo_opensearch.core.errors import PassingError, PermanentError, SyncError
from dynamo_opensearch.core.state.holder import Holder
from dynamo_opensearch.core.targets.loading import TargetProblem

ROOT = Path(__file__).parents[2]
HOLDER = Holder(deployment="d", dag_id="x_reindex", run_id="x-17", purpose="rebuild", since_us=17)
SAMPLES: dict[Any, Any] = {
    str: "x-17",
    int: 17,
    float: 1.5,
    tuple[str, ...]: ("x-17", "x-18"),
    Sequence[str]: ("x-17", "x-18"),
    dict[str, int]: {"x-17": 3},
    dict[str, Any]: {"x-17": 3},
    str | None: "x-17",
    Holder: HOLDER,
    Holder | None: HOLDER,
    tuple[TargetProblem, ...]: (TargetProblem("x-17", "field", "rule"),),
}
RULE_SAYS_IT_ALL = {
    # A value that a person gave, and the rule it breaks.
    "SegmentsError", "ReadUnitsError", "AttributeValueError", "DocumentBuildError", "TransformError",
    "MappingFileError", "MappingRefusedError", "DynamoDbRequestError",
    # Caught and waited out, or raised as something else, by whoever sends requests.
    "ConnectionLostError", "OpenSearchRequestError",
}  # fmt: skip

ADVICE = (
    "start this dag", "then start", "tries again", "check ", "correct ", "set ", "look for", "next:", "goes on",
    "remove ", "narrow ", "rebuild ", "name an index", "add it", "report this fault", "mended", "let an event source",
)  # fmt: skip


def module_names() -> list[str]:
    packages = (dynamo_opensearch.core, dynamo_opensearch.indexer)
    return sorted(one.name for two in packages for one in pkgutil.walk_packages(two.__path__, f"{two.__name__}."))


def error_classes(of: type[SyncError] = SyncError) -> list[type[SyncError]]:
    for name in module_names():
        importlib.import_module(name)
    found: list[type[SyncError]] = []
    for one in of.__subclasses__():
        found += [one, *error_classes(one)]
    own = {one for one in found if one.__module__.startswith(("dynamo_opensearch.core", "dynamo_opensearch.indexer"))}
    return sorted(own - {PassingError, PermanentError}, key=lambda one: one.__name__)


def sample(error: type[SyncError]) -> SyncError:
    if error.__init__ is SyncError.__init__:
        return error()
    return error(*(SAMPLES[one.annotation] for one in inspect.signature(error).parameters.values()))


@pytest.mark.parametrize("error_class", error_classes(), ids=lambda one: one.__name__)
def test_it_survives_pickling_with_text_and_values(error_class: type[SyncError]) -> None:
    error = sample(error_class)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is error_class
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize("error_class", error_classes(), ids=lambda one: one.__name__)
def test_it_is_passing_or_permanent(error_class: type[SyncError]) -> None:
    assert issubclass(error_class, PassingError) != issubclass(error_class, PermanentError)
    assert error_class.is_permanent is issubclass(error_class, PermanentError)


@pytest.mark.parametrize("error_class", error_classes(), ids=lambda one: one.__name__)
def test_it_says_where_and_what_to_do_next(error_class: type[SyncError]) -> None:
    text = str(sample(error_class))
    assert "x-17" in text or "17" in text or "1.5" in text or not vars(sample(error_class))
    if error_class.__name__ in RULE_SAYS_IT_ALL:
        return
    assert any(word in text.lower() for word in ADVICE), text


def test_there_are_errors_to_look_at() -> None:
    assert len(error_classes()) > 25


def test_core_and_indexer_import_without_airflow() -> None:
    program = (
        "import sys, importlib\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'airflow':\n"
        "            raise ImportError('blocked: ' + name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'airflow']\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *module_names()],
        env={"PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
