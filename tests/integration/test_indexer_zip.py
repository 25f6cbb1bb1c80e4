"""The archive for Lambda: what is in it, the same bytes each time, and it works where nothing else is."""

import json
import platform
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.integration.conftest import MakeRig
from tests.support.lambda_events import event, put
from tests.support.rig import small_item
from tools.indexer_zip import BROUGHT_BY_THE_RUNTIME, Runtime, make_zip
from tools.local.ministack import REGION
from tools.local.paths import ROOT
from tools.local.processes import Server

HERE = Runtime(
    python=f"{sys.version_info.major}.{sys.version_info.minor}",
    architecture="arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64",
)
PROGRAM = """
import json, sys
sys.path += sys.argv[1:3]
from dynamo_opensearch.indexer.handler import handler
import dynamo_opensearch, orjson, opensearchpy, pydantic
class Context:
    def get_remaining_time_in_millis(self):
        return 30_000
answer = handler(json.load(sys.stdin), Context())
modules = [dynamo_opensearch, orjson, opensearchpy, pydantic]
print(json.dumps({"answer": answer, "files": [one.__file__ for one in modules],
                  "airflow": [one for one in sys.modules if one.startswith("airflow")]}))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_zip(HERE, tmp_path_factory.mktemp("zip"))


@pytest.fixture
def names(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as opened:
        return opened.namelist()


@pytest.fixture
def runtime_packages(tmp_path: Path) -> Path:
    """What Lambda's own runtime brings, and nothing else of this machine's packages."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in BROUGHT_BY_THE_RUNTIME:
        (folder / name).symlink_to(Path(site.getsitepackages()[0]) / name)
    return folder


def test_modules_that_the_handler_needs_are_inside_and_airflows_are_not(names: list[str]) -> None:
    own = {name for name in names if name.startswith("dynamo_opensearch/") and name.endswith(".py")}
    assert {"dynamo_opensearch/indexer/handler.py", "dynamo_opensearch/core/documents/builder.py"} <= own
    assert "dynamo_opensearch/samples/order_totals.py" in own, "a target's transform"
    for part in ("operators", "hooks", "core/backfill", "core/rebuild", "core/follow"):
        assert not [name for name in own if name.startswith(f"dynamo_opensearch/{part}/")], part


def test_target_files_and_mappings_are_inside_the_package(names: list[str]) -> None:
    include = {path.relative_to(ROOT).as_posix() for path in (ROOT / "include").rglob("*.*") if path.is_file()}
    assert include
    assert {f"dynamo_opensearch/{name}" for name in include} <= set(names)


def test_dependencies_are_those_of_the_requirements_and_boto3_is_left_to_the_runtime(names: list[str]) -> None:
    pinned = {line.split(" ")[0].lower() for line in (ROOT / "requirements.txt").read_text().splitlines()}
    brought = {name.partition(".dist-info/")[0] for name in names if name.endswith(".dist-info/METADATA")}
    assert brought
    for one in brought:
        name, _, version = one.rpartition("-")
        assert f"{name.replace('_', '-').lower()}=={version}" in pinned
    tops = {name.partition("/")[0] for name in names}
    assert not tops & {*BROUGHT_BY_THE_RUNTIME, "grpc", "google", "airflow", "s3fs", "pendulum"}


def test_nothing_of_this_machine_is_inside(names: list[str]) -> None:
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", "/RECORD", ".lock"))]
    assert not [name for name in names if name.startswith(("bin/", "tests/", "tools/"))]


def test_two_archives_are_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    assert make_zip(HERE, tmp_path).read_bytes() == archive.read_bytes()


@pytest.mark.parametrize("runtime", [Runtime(python="3.13"), Runtime(python="3.12", architecture="arm64")], ids=str)
def test_binary_modules_are_those_of_the_chosen_runtime(runtime: Runtime, tmp_path: Path) -> None:
    with zipfile.ZipFile(make_zip(runtime, tmp_path)) as opened:
        binary = [name for name in opened.namelist() if name.endswith(".so")]
    machine = "aarch64" if runtime.architecture == "arm64" else "x86_64"
    wanted = f"cpython-{runtime.python.replace('.', '')}-{machine}-linux-gnu.so"
    assert len(binary) > 3
    assert [name for name in binary if not name.endswith(wanted)] == []


def test_the_handler_of_the_unpacked_archive_indexes_a_record(
    archive: Path, runtime_packages: Path, make_rig: MakeRig, opensearch_server: Server, ministack_server: Server,
    tmp_path: Path
) -> None:  # fmt: skip
    task = tmp_path / "task"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(task)
    rig = make_rig()
    rig.create_index()
    target = (task / "dynamo_opensearch" / "include" / "targets" / "members.yaml").read_text()
    environment = f"  here: {{table: {rig.table}, alias: {rig.alias}, region: {REGION}}}\n"
    ours = target.replace("key: [memberId]", "key: [id]").replace("    - memberId\n", "    - id\n    - status\n", 1)
    (task / "dynamo_opensearch" / "include" / "targets" / "ours.yaml").write_text(ours + environment)
    record = put(1, small_item(7) | {"status": {"S": "active"}}) | {
        "eventSourceARN": f"arn:aws:dynamodb:x:1:table/{rig.table}/stream/y"
    }
    record["dynamodb"]["ApproximateCreationDateTime"] = 1_700_000_000
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROGRAM, str(task), str(runtime_packages)],
        env={
            "DYNAMO_OPENSEARCH_TARGET_FILE": "targets/ours.yaml",
            "DYNAMO_OPENSEARCH_ENVIRONMENT": "here",
            "DYNAMO_OPENSEARCH_URL": opensearch_server.url,
            "DYNAMO_OPENSEARCH_AUTH": "none",
            "DYNAMO_OPENSEARCH_DYNAMODB_URL": ministack_server.url,
        },
        cwd=tmp_path,
        input=json.dumps(event(record)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["answer"] == {"batchItemFailures": []}
    assert all(Path(file).is_relative_to(task) for file in told["files"])
    assert told["airflow"] == []
    assert rig.documents() == {"k0007": {"id": "k0007", "status": "active"}}
