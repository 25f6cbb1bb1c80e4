"""The table of a preflight: check, state, what was found, what was expected, how to mend it."""

from collections.abc import Iterable, Sequence

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.preflight.findings import CheckResult
from dynamo_opensearch.core.runbook import RUNBOOK

_HEAD = ("check", "state", "found", "expected", "how to mend it")
_WIDEST = 60


class NotReadyError(PermanentError):
    """Checks failed, or could not tell."""

    def __init__(self, target: str, environment: str, failed: tuple[str, ...]) -> None:
        super().__init__(target, environment, failed)
        self.target, self.environment, self.failed = target, environment, failed

    def __str__(self) -> str:
        return (
            f"target {self.target!r} is not ready in {self.environment!r}: {', '.join(self.failed)}. The table in this "
            f"task's log says how to mend it, {RUNBOOK} what each check means. Then start this DAG again."
        )


def check_ready(target: str, environment: str, results: Sequence[CheckResult]) -> None:
    """Raises NotReadyError where a check failed or could not tell; what was not asked for does not matter."""
    failed = tuple(f"{one.check} ({one.state})" for one in results if one.state in ("failed", "blocked"))
    if failed:
        raise NotReadyError(target, environment, failed)


class FirstStepError(PermanentError):
    """Checks failed before a run had done anything."""

    def __init__(self, target: str, environment: str, failed: tuple[str, ...], table: str) -> None:
        super().__init__(target, environment, failed, table)
        self.target, self.environment, self.failed, self.table = target, environment, failed, table

    def __str__(self) -> str:
        return (
            f"target {self.target!r} is not ready in {self.environment!r}: {', '.join(self.failed)} failed. Nothing "
            f"has been changed. Mend it as this table says ({RUNBOOK} has a section for each check), then clear this "
            f"task or start this DAG again.\n{self.table}"
        )


def check_first_step(target: str, environment: str, results: Sequence[CheckResult]) -> None:
    """Raises FirstStepError where a check found something; what could not be told stops nobody."""
    failed = tuple(one.check for one in results if one.state == "failed" and not one.is_untold)
    if failed:
        raise FirstStepError(target, environment, failed, table_of(results))


def table_of(results: Iterable[CheckResult]) -> str:
    """One row for each finding, and one for each check without; as wide as its cells, the remedy last and whole."""
    rows = [_HEAD, *(row for result in results for row in _rows(result))]
    widths = [min(_WIDEST, max(len(row[column]) for row in rows)) for column in range(len(_HEAD) - 1)]
    lines = [_line(row, widths) for row in rows]
    return "\n".join([lines[0], "-+-".join("-" * width for width in [*widths, len(_HEAD[-1])]), *lines[1:]])


def _rows(result: CheckResult) -> Iterable[tuple[str, ...]]:
    if not result.findings:
        yield result.check, result.state, result.seen, "", ""
    for finding in result.findings:
        yield result.check, result.state, f"{finding.what}: {finding.found}", finding.expected, finding.remedy


def _line(row: tuple[str, ...], widths: Sequence[int]) -> str:
    cells = [cell.replace("\n", " ").ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
    return " | ".join([*cells, row[-1]]).rstrip()
