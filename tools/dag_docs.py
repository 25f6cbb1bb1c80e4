"""docs/DAGS.md, made from the DAGs themselves: `python -m tools.dag_docs`; `--check` only tells whether it is stale."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import DAG, Param

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "DAGS.md"
HEAD = """\
# DAGs

Made from the DAGs by `python -m tools.dag_docs`; do not edit. The same texts are on each DAG's page in Airflow.
"""
SCHEDULES = {
    "@continuous": "all the time, one run after the other (`@continuous`)",
    "@hourly": "every hour (`@hourly`)",
}


def render(dags: Sequence["DAG"]) -> str:
    """The page for these DAGs, in the order of their ids."""
    parts = [HEAD]
    for dag in sorted(dags, key=lambda one: one.dag_id):
        parts += [f"## {dag.dag_id}", dag.description or "", _overview(dag), _parameters(dag), _text(dag), ""]
    return "\n".join(parts).rstrip() + "\n"


def _overview(dag: "DAG") -> str:
    schedule = SCHEDULES.get(str(dag.schedule), f"`{dag.schedule}`") if dag.schedule else "none: by hand"
    ordered: Iterable[Any] = dag.topological_sort()  # type: ignore[no-untyped-call]
    tasks = "\n".join(f"| `{task.task_id}` | {_kind(task)} | {_after(task)} |" for task in ordered)
    return (
        f"\nSchedule: {schedule}. Runs at once: {dag.max_active_runs}.\n\n"
        f"| task | what | after |\n|---|---|---|\n{tasks}\n"
    )


def _kind(task: Any) -> str:
    operator = task.operator_class if task.is_mapped else type(task)
    summary = (operator.__doc__ or "").strip().split(". ")[0].splitlines()[0].rstrip(".")
    marks = [mark for mark, holds in (("mapped", task.is_mapped), ("teardown", task.is_teardown)) if holds]
    return f"{summary} ({', '.join(marks)})" if marks else summary


def _after(task: Any) -> str:
    return ", ".join(f"`{name}`" for name in sorted(task.upstream_task_ids)) or "–"


def _parameters(dag: "DAG") -> str:
    rows = "\n".join(_row(name, dag.params.get_param(name)) for name in dag.params)
    return f"| parameter | default | may be | what it does |\n|---|---|---|---|\n{rows}\n" if rows else ""


def _row(name: str, param: "Param") -> str:
    default = "empty" if param.value is None else f"`{str(param.value).lower()}`" if param.has_value else "needed"
    return f"| `{name}` | {default} | {_bounds(param.schema)} | {param.description} |"


def _bounds(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join("empty" if one is None else f"`{one}`" for one in schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    text = " or ".join("empty" if kind == "null" else kind for kind in sorted(kinds, key="null".__eq__))
    if "minimum" in schema:
        text += f", {schema['minimum']:,} to {schema['maximum']:,}"
    if "exclusiveMinimum" in schema:
        text += f", above {schema['exclusiveMinimum']}" + (
            f", up to {schema['maximum']:,}" if "maximum" in schema else ""
        )
    if "pattern" in schema:
        text += f", as `{schema['pattern']}`"
    return text


def _text(dag: "DAG") -> str:
    return (dag.doc_md or "").strip()


def find_dags(folder: Path = ROOT / "dags") -> Iterator["DAG"]:
    """The DAGs of a folder, read by Airflow; its home is a folder that goes away.

    Raises:
        RuntimeError: a file has an import error.
    """
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(folder))
    if bag.import_errors:
        raise RuntimeError("\n".join(f"{file}: {error}" for file, error in bag.import_errors.items()))
    return iter(bag.dags.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or say with 1 that it is stale."""
    parser = argparse.ArgumentParser(prog="python -m tools.dag_docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when the page is stale")
    given = parser.parse_args(arguments)
    text = render(list(find_dags()))
    if given.check:
        is_stale = not DOCUMENT.exists() or DOCUMENT.read_text() != text
        print(f"{DOCUMENT.relative_to(ROOT)} is {'stale: python -m tools.dag_docs' if is_stale else 'as the DAGs are'}")
        return int(is_stale)
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(text)
    return 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        sys.path.insert(0, str(ROOT / "plugins"))
        sys.exit(main())
