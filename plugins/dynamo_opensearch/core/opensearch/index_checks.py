"""Whether an index is fit to be written to: refusals come before the first write, all at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.opensearch.index_state import IndexState
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.opensearch.scratch_index import mapping_as_written
from dynamo_opensearch.core.stamps import StampRule, check_version

VERSIONS_SAMPLED = 1_000


class IndexUnfitError(PermanentError):
    """The index is not what the mapping file describes, or changes what is written to it."""

    def __init__(self, index: str, problems: tuple[str, ...]) -> None:
        super().__init__(index, problems)
        self.index, self.problems = index, problems

    def __str__(self) -> str:
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return (
            f"index {self.index!r} cannot be filled, nothing was written. Problems: {len(self.problems)}\n{lines}\n"
            "Correct the mapping file or the index, or rebuild into a new index, then start again."
        )


class IndexTemplateError(PermanentError):
    """An index template would change the index that is to be created."""

    def __init__(self, index: str, templates: tuple[str, ...]) -> None:
        super().__init__(index, templates)
        self.index, self.templates = index, templates

    def __str__(self) -> str:
        return (
            f"index templates match {self.index!r}: {', '.join(self.templates)}. They would change the index "
            "behind the mapping file's back. Narrow their index_patterns, or move what they set into the mapping file."
        )


def check_index(cluster: PatientCluster, state: IndexState, mapping: MappingFile) -> None:
    """Hold an index against its mapping file.

    Raises:
        IndexUnfitError: with everything that was found.
        MappingRefusedError: the mapping file itself is not valid.
    """
    problems = [*_settings_problems(state, mapping), *_mapping_problems(cluster, state, mapping)]
    if problems:
        raise IndexUnfitError(state.index, tuple(problems))


def check_versions(cluster: PatientCluster, index: str, rule: StampRule, clock: Clock) -> int:
    """Look at the versions of up to 1,000 documents, drawn at random; returns how many there were.

    Raises:
        ForeignVersionError: one is of another unit than a stamp, or from the future.
    """
    query: dict[str, Any] = {"function_score": {"query": {"match_all": {}}, "random_score": {}}}
    answer = cluster.request(
        "POST",
        f"/{index}/_search",
        params={"filter_path": "hits.hits._version"},
        body={"size": VERSIONS_SAMPLED, "version": True, "_source": False, "query": query},
    )
    versions = [hit["_version"] for hit in answer.get("hits", {}).get("hits", [])]
    for version in versions:
        check_version(index, version, clock.time_us(), rule, len(versions))
    return len(versions)


def check_no_template(cluster: PatientCluster, index: str) -> None:
    """Raises IndexTemplateError where a template would apply to a new index of this name."""
    matching = []
    simulated = cluster.request("POST", f"/_index_template/_simulate_index/{index}")
    template = simulated.get("template", {})
    if any(template.get(part) for part in ("settings", "mappings", "aliases")):
        matching.append("a composable template")
    matching += [one["name"] for one in simulated.get("overlapping", [])]
    matching += [name for name in _legacy_templates(cluster, index) if name not in matching]
    if matching:
        raise IndexTemplateError(index, tuple(matching))


def _legacy_templates(cluster: PatientCluster, index: str) -> list[str]:
    """Simulating tells of these only beside a composable one."""
    templates = cluster.request("GET", "/_template")
    return [
        name
        for name, template in templates.items()
        if any(fnmatchcase(index, pattern) for pattern in template["index_patterns"])
    ]


def _settings_problems(state: IndexState, mapping: MappingFile) -> Iterator[str]:
    yield from pipeline_problems(state, mapping)
    yield from source_problems(state.mappings)
    for name, wanted in mapping.settings.items():
        if name.startswith("index.analysis.") and not same_setting(state.settings.get(name), wanted):
            yield f"setting {name} is {state.settings.get(name)!r}, the mapping file says {wanted!r}"


def pipeline_problems(state: IndexState, mapping: MappingFile) -> Iterator[str]:
    """Ingest pipelines of the index that the mapping file does not declare."""
    for pipeline in ("index.default_pipeline", "index.final_pipeline"):
        actual = state.settings.get(pipeline, "_none")
        if actual not in ("_none", mapping.settings.get(pipeline)):
            yield f"{pipeline} is {actual!r}: an ingest pipeline would change every document; remove it"


def source_problems(mappings: dict[str, Any]) -> Iterator[str]:
    """A mapping under which ``_source`` is not the whole document."""
    source = mappings.get("_source", {})
    if source.get("enabled", True) in (False, "false") or source.get("excludes") or source.get("includes"):
        yield "its mapping filters _source: fields would be lost in every rebuild; rebuild it without that"


def same_setting(actual: Any, wanted: Any) -> bool:
    """OpenSearch answers with strings, and lists stay lists."""
    if isinstance(wanted, list):
        return isinstance(actual, list) and [str(one) for one in wanted] == [str(one) for one in actual]
    return str(actual).lower() == str(wanted).lower()


def _mapping_problems(cluster: PatientCluster, state: IndexState, mapping: MappingFile) -> Iterator[str]:
    wanted = {name: value for name, value in mapping.mappings.items() if name != "_meta"}
    if state.mappings == wanted:
        return
    canonical = mapping_as_written(cluster, mapping, state.index)
    yield from differences(canonical, state.mappings)


@dataclass(frozen=True)
class DifferentPlace:
    """A dotted place in two mappings; None on a side that does not have it."""

    path: str
    wanted: Any
    actual: Any

    def __str__(self) -> str:
        if self.actual is None:
            return f"mapping: {self.path} is missing in the index"
        if self.wanted is None:
            return f"mapping: {self.path} is in the index only"
        return f"mapping: {self.path} is {self.actual!r} in the index, {self.wanted!r} in the file"


def different_places(wanted: Any, actual: Any, path: str = "", *, grows: bool = True) -> Iterator[DifferentPlace]:
    """Where two mappings differ.

    ``grows``: OpenSearch adds a field for each new one that a document has, unless the file says otherwise; such
    fields are no difference.
    """
    if isinstance(wanted, dict) and isinstance(actual, dict):
        grows = str(wanted.get("dynamic", grows)).lower() == "true"
        for name in sorted(set(wanted) | set(actual)):
            place = f"{path}.{name}" if path else name
            if name not in actual:
                yield DifferentPlace(place, wanted[name], None)
            elif name in wanted:
                yield from different_places(wanted[name], actual[name], place, grows=grows)
            elif not (grows and (name == "properties" or path.endswith("properties"))):
                yield DifferentPlace(place, None, actual[name])
    elif wanted != actual:
        yield DifferentPlace(path, wanted, actual)


def differences(wanted: Any, actual: Any) -> Iterator[str]:
    """Where two mappings differ, one line for each place."""
    yield from map(str, different_places(wanted, actual))
