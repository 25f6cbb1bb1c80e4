"""Reading target files: all that is wrong with a file is told at once, and costs that file alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.opensearch.mapping_file import MappingFileError, read_mapping_file
from dynamo_opensearch.core.runbook import BAD_FILE
from dynamo_opensearch.core.targets.model import Target

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class TargetProblem:
    """One mistake in one file: where (dotted field path) and which rule it breaks."""

    file: str
    field: str
    rule: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.rule}"


@dataclass(frozen=True)
class LoadedTargets:
    """The targets of a folder by name, and what is wrong with the other files."""

    targets: dict[str, Target]
    problems: tuple[TargetProblem, ...]


class TargetFilesError(PermanentError):
    """Raised for the reader of Airflow's import errors: every mistake in every bad file."""

    def __init__(self, problems: tuple[TargetProblem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        files = {problem.file for problem in self.problems}
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        return (
            f"{len(self.problems)} mistakes in {len(files)} target files; these targets have no DAGs until they are "
            f"mended, the others are not affected. More: {BAD_FILE}\n{lines}"
        )


def load_targets(include: Path) -> LoadedTargets:
    """Every ``*.yaml`` below ``include/targets``, checked. A second file with the same name or alias is a problem."""
    targets: dict[str, Target] = {}
    problems: list[TargetProblem] = []
    aliases: dict[str, str] = {}
    for path in sorted((include / "targets").glob("*.yaml")):
        loaded = list(_load_file(path, include / "mappings"))
        target = next((one for one in loaded if isinstance(one, Target)), None)
        problems += [one for one in loaded if isinstance(one, TargetProblem)]
        if target is None:
            continue
        if target.name in targets:
            problems.append(TargetProblem(path.name, "name", f"{target.name!r} is taken by another file"))
        elif target.alias in aliases:
            problems.append(TargetProblem(path.name, "alias", f"taken by target {aliases[target.alias]!r}"))
        else:
            targets[target.name] = target
            aliases[target.alias] = target.name
    return LoadedTargets(targets, tuple(problems))


def _load_file(path: Path, mappings: Path) -> Iterator[Target | TargetProblem]:
    """The target, or its problems; problems of the mapping file come without the target."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - both loaders are safe ones
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        yield TargetProblem(path.name, "(file)", f"cannot be read as YAML: {_one_line(error)}")
        return
    if not isinstance(content, dict):
        yield TargetProblem(path.name, "(file)", "must be a YAML mapping")
        return
    try:
        target = Target.model_validate(content)
    except ValidationError as error:
        yield from (
            TargetProblem(path.name, ".".join(map(str, one["loc"])) or "(file)", one["msg"]) for one in error.errors()
        )
        target = None
    mapping = content.get("mapping")
    if isinstance(mapping, str) and (target is not None or mapping.endswith(".json")):
        try:
            read_mapping_file(mappings / mapping)
        except MappingFileError as mapping_error:
            yield TargetProblem(path.name, "mapping", str(mapping_error))
            return
    if target is not None:
        yield target


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
