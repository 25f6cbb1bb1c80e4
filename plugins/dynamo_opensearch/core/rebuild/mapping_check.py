"""Whether a new mapping takes the target's documents: tried on a scratch index before anything is made."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.builder import Document, DocumentBuilder, RefusedItem
from dynamo_opensearch.core.errors import PermanentError, ServiceUnavailableError
from dynamo_opensearch.core.offer.bulk_answer import Verdict, read_entry
from dynamo_opensearch.core.offer.bulk_request import ANSWER_FIELDS, encode_bulk
from dynamo_opensearch.core.offer.reading import Reading
from dynamo_opensearch.core.offer.rejects import Reject, reasons_by_count
from dynamo_opensearch.core.opensearch.errors import SERVICE, ErrorSummary, summarise
from dynamo_opensearch.core.opensearch.index_checks import source_problems
from dynamo_opensearch.core.opensearch.index_state import IndexState, read_index
from dynamo_opensearch.core.opensearch.mapping_diff import MappingChanges, compare_mappings, flat_fields, is_mapped
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.opensearch.scratch_index import remove_left_behind, scratch_index
from dynamo_opensearch.core.rebuild.samples import SampleSource
from dynamo_opensearch.core.targets.model import Target

_KEYS_SHOWN = 5
_BATCH_BYTES = 2_000_000
_STAMP_US = 1
"""Of a reject of this check: nothing was read for the index, so nothing was stamped."""


class MappingCheckError(PermanentError):
    """The new mapping does not fit the target or its documents."""

    def __init__(self, file: str, problems: tuple[str, ...]) -> None:
        super().__init__(file, problems)
        self.file, self.problems = file, problems

    def __str__(self) -> str:
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return (
            f"mapping file {self.file!r} does not fit, nothing was made. Problems: {len(self.problems)}\n{lines}\n"
            "Correct the mapping file, the target's rules or the items, then start this DAG again."
        )


@dataclass(frozen=True, kw_only=True)
class MappingCheck:
    """What was found. ``samples``: documents tried; ``rejects``: those refused, for the reject files."""

    file: str
    changes: MappingChanges
    samples: int
    problems: tuple[str, ...] = ()
    rejects: tuple[Reject, ...] = field(default=(), repr=False)

    def check(self) -> None:
        """Raises MappingCheckError with all problems, where there are any."""
        if self.problems:
            raise MappingCheckError(self.file, self.problems)


@dataclass(frozen=True, kw_only=True)
class CheckPorts:
    """What the check works with."""

    cluster: PatientCluster
    clock: Clock


def check_new_mapping(
    target: Target,
    mapping: MappingFile,
    current: IndexState,
    builder: DocumentBuilder,
    samples: Iterable[SampleSource],
    ports: CheckPorts,
) -> MappingCheck:
    """Try the mapping file on an index of its own that is removed again. Safe to run again.

    Looks at the fields against those of ``current``, at ``required_fields``, and at what becomes of sample items.

    Raises:
        MappingRefusedError: OpenSearch does not take the mapping file.
        ServiceUnavailableError: OpenSearch did not take the samples in time.
    """
    remove_left_behind(ports.cluster, target.index_base, ports.clock)
    with scratch_index(ports.cluster, mapping, target.index_base) as scratch:
        written = read_index(ports.cluster, scratch).mappings
        trial = _Trial(target, builder, ports.cluster, scratch)
        for source in samples:
            trial.run(source)
    unmapped = _unmapped(target, written)
    return MappingCheck(
        file=mapping.file,
        changes=compare_mappings(current.mappings, written),
        samples=trial.tried,
        problems=(*source_problems(written), *unmapped, *trial.problems()),
        rejects=tuple(trial.rejects),
    )


def _unmapped(target: Target, mappings: dict[str, Any]) -> Iterator[str]:
    fields = flat_fields(mappings)
    for name in target.required_fields:
        if not is_mapped(fields, name):
            yield f"required field {name!r} is not a field of the mapping"


class _Trial:
    """Samples of all sources, and what became of them."""

    def __init__(self, target: Target, builder: DocumentBuilder, cluster: PatientCluster, scratch: str) -> None:
        self._target, self._builder, self._cluster, self._scratch = target, builder, cluster, scratch
        self.tried = 0
        self.rejects: list[Reject] = []
        self._lacking: Counter[str] = Counter()
        self._lacking_ids: dict[str, list[str]] = {}

    def run(self, source: SampleSource) -> None:
        built = self._builder.build(source.items())
        self.tried += len(built.documents) + len(built.refused)
        self.rejects += [_refused_item(one, self._scratch) for one in built.refused]
        for batch in _batches(built.documents):
            self._look_for_required(batch)
            self.rejects += self._index(batch)

    def problems(self) -> Iterator[str]:
        for reason, count in reasons_by_count(self.rejects).items():
            ids = [one.document.id for one in self.rejects if str(one.summary) == reason]
            yield f"{count} of {self.tried} sample documents are refused: {reason}; {self._shown(ids)}"
        for name, count in self._lacking.items():
            shown = self._shown(self._lacking_ids[name])
            yield f"{count} of {self.tried} sample documents have no value in required field {name!r}; {shown}"

    def _look_for_required(self, batch: Sequence[Document]) -> None:
        if not self._target.required_fields:
            return
        for document in batch:
            content = orjson.loads(document.source or b"{}")
            for name in self._target.required_fields:
                if not has_value(content, name):
                    self._lacking[name] += 1
                    self._lacking_ids.setdefault(name, []).append(document.id)

    def _index(self, batch: list[Document]) -> list[Reject]:
        # With a version, so that a batch sent again after a lost answer meets itself as indexed.
        body = encode_bulk([Reading(batch, _STAMP_US, 0.0, self._scratch, 0)], "external_gte")
        answer = self._cluster.request(
            "POST", f"/{self._scratch}/_bulk", params={"filter_path": ANSWER_FIELDS}, body=body
        )
        return [
            reject
            for document, entry in zip(batch, answer["items"], strict=True)
            if (reject := self._judged(document, entry)) is not None
        ]

    def _judged(self, document: Document, entry: dict[str, dict[str, Any]]) -> Reject | None:
        verdict = read_entry(entry, self._scratch)
        if verdict.verdict is Verdict.INDEXED:
            return None
        summary = summarise(verdict.error_type, verdict.reason)
        if verdict.verdict in (Verdict.BUSY, Verdict.NO_INDEX):
            raise ServiceUnavailableError(SERVICE, f"the trial of samples on {self._scratch}", 1, 0.0, str(summary))
        return Reject(document.key, document, self._scratch, _STAMP_US, summary, verdict.reason)

    def _shown(self, ids: Sequence[str]) -> str:
        shown = [one if self._target.show_keys else hashed_id(one) for one in ids[:_KEYS_SHOWN]]
        more = f" and {len(ids) - len(shown)} more" if len(ids) > len(shown) else ""
        return f"{'ids' if self._target.show_keys else 'hashed ids'}: {', '.join(shown)}{more}"


def hashed_id(document_id: str) -> str:
    """A document id as reports show it where keys may not be shown: the first 12 digits of its SHA-256."""
    return hashlib.sha256(document_id.encode()).hexdigest()[:12]


def has_value(content: Any, name: str) -> bool:
    """Whether the field has a value; as in OpenSearch, null and an empty list are none, and dots may be in a name."""
    if isinstance(content, list):
        return any(has_value(one, name) for one in content)
    if not name:
        return content is not None
    if not isinstance(content, Mapping):
        return False
    return any(
        has_value(value, name[len(key) :].removeprefix("."))
        for key, value in content.items()
        if name == key or name.startswith(f"{key}.")
    )


def _batches(documents: Sequence[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.source or b"")
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _refused_item(item: RefusedItem, index: str) -> Reject:
    summary = ErrorSummary(type(item.error).__name__, getattr(item.error, "field", None))
    return Reject(item.key, Document(item.id, None, None, item.key), index, _STAMP_US, summary, str(item.error))
