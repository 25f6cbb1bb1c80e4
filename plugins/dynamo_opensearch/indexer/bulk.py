"""One bulk request through the alias: strict external versions, one answer for each offer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from dynamo_opensearch.core.documents.builder import Document
from dynamo_opensearch.core.offer.bulk_answer import DocumentAnswer, Verdict, read_entry
from dynamo_opensearch.core.offer.bulk_request import ANSWER_FIELDS, encode_bulk, without_guard
from dynamo_opensearch.core.offer.destination import BulkAnswerError
from dynamo_opensearch.core.offer.reading import Reading
from dynamo_opensearch.core.opensearch.cluster import PASSING_STATUSES, Cluster
from dynamo_opensearch.core.opensearch.errors import ConnectionLostError, OpenSearchRequestError
from dynamo_opensearch.indexer.changes import KeyWork


class Offer(NamedTuple):
    """A key's document at the version that its work says; a document without source is a delete."""

    work: KeyWork
    document: Document


def write(cluster: Cluster, alias: str, index: str, offers: Sequence[Offer], request_s: float) -> list[DocumentAnswer]:
    """Offer all of them; ``index`` is the one that they were made for.

    A request that got no answer, or one that may pass, gives BUSY for all: offered again, what had been carried out
    meets its own version, and that conflict is settled as any other. (``external_gte`` would let it overwrite another
    write of the same version.) A request that is refused as a whole is cut in halves until the one to blame is found.

    Raises:
        AccessDeniedError: OpenSearch refuses the caller.
        BulkAnswerError: an answer does not fit its request.
        OpenSearchRequestError: a refusal that concerns no single document.
    """
    try:
        entries = _request(cluster, alias, index, offers, request_s)
    except ConnectionLostError as error:
        return [DocumentAnswer(Verdict.BUSY, index, error.problem, "")] * len(offers)
    except OpenSearchRequestError as error:
        if error.status in PASSING_STATUSES or error.status == 403:
            return [DocumentAnswer(Verdict.BUSY, index, error.error_type, error.reason)] * len(offers)
        if error.status not in (400, 413):
            raise
        if len(offers) == 1:
            return [DocumentAnswer(Verdict.REJECTED, index, error.error_type, error.reason)]
        half = len(offers) // 2
        return [
            *write(cluster, alias, index, offers[:half], request_s),
            *write(cluster, alias, index, offers[half:], request_s),
        ]
    if len(entries) != len(offers):
        raise BulkAnswerError(len(offers), len(entries))
    return [read_entry(entry, index) for entry in entries]


def _request(
    cluster: Cluster, alias: str, index: str, offers: Sequence[Offer], request_s: float
) -> Sequence[dict[str, Any]]:
    readings = [Reading([offer.document], offer.work.version, 0.0, index, 0) for offer in offers]
    body = encode_bulk(readings, "external")
    answer = cluster.request(
        "POST",
        f"/{alias}/_bulk",
        params={
            "filter_path": ANSWER_FIELDS,
            "require_alias": "true",
            "timeout": f"{request_s * 1000:.0f}ms",
        },
        body=body,
        timeout_s=request_s + 0.5,
    )
    if not isinstance(answer, dict):
        raise ConnectionLostError("the answer is no JSON object")
    return without_guard(body, answer.get("items", []))
