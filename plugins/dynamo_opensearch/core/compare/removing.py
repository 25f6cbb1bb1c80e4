"""Removing documents that no offer can reach: their id is no key's, or they lie where no item's document would."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import orjson

from dynamo_opensearch.core.compare.index_side import ShardsFailedError
from dynamo_opensearch.core.compare.join import Kind
from dynamo_opensearch.core.compare.looking import Look
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.offer.bulk_answer import DocumentAnswer, Verdict, read_entry
from dynamo_opensearch.core.opensearch.errors import SERVICE, summarise
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.reports import OfferReport

_AT_ONCE = 500


class StrayRemover:
    """Deletes from one index, each document as it was seen: one that was written since stays. One thread.

    There is no item to read for such a document, so no stamp can say when it was known to be gone.
    """

    def __init__(self, index: str, patient: PatientCluster) -> None:
        self._index, self._patient = index, patient

    def remove(self, looks: Sequence[Look]) -> OfferReport:
        """Delete those of the looked-at documents that are nobody's. Safe to run again.

        ``stale``: written since, or deleted by somebody else.

        Raises:
            ShardsFailedError: a shard was too busy; the rest is left as it was.
            AccessDeniedError, ServiceUnavailableError: as ``PatientCluster.request``.
        """
        strays = [one for one in looks if one.is_nobodys and one.kind is Kind.ORPHANED]
        report = OfferReport()
        for start in range(0, len(strays), _AT_ONCE):
            report += self._remove(strays[start : start + _AT_ONCE])
        return report

    def _remove(self, strays: Sequence[Look]) -> OfferReport:
        lines = b"".join(orjson.dumps({"delete": _delete(one)}, option=orjson.OPT_APPEND_NEWLINE) for one in strays)
        answer = self._patient.request("POST", f"/{quote(self._index)}/_bulk", body=lines)
        answers = [read_entry(entry, self._index) for entry in answer["items"]]
        for one in answers:
            self._check(one)
        ended = Counter(one.verdict for one in answers)
        return OfferReport(
            offered=len(strays),
            deleted=ended[Verdict.DELETED],
            stale=ended[Verdict.STALE],
            rejected=ended[Verdict.REJECTED],
        )

    def _check(self, answer: DocumentAnswer) -> None:
        """Raises where the document has not come to its end."""
        if answer.verdict is Verdict.DENIED:
            raise AccessDeniedError(SERVICE, "bulk writes", answer.index, answer.error_type)
        if answer.verdict not in (Verdict.DELETED, Verdict.STALE, Verdict.REJECTED):
            raise ShardsFailedError(self._index, "_bulk", str(summarise(answer.error_type, answer.reason)))


def _delete(look: Look) -> dict[str, Any]:
    seq_no, primary_term = look.document_state or (None, None)
    routing = {"routing": look.suspect.routing} if look.suspect.routing else {}
    return {"_id": look.suspect.id, "if_seq_no": seq_no, "if_primary_term": primary_term, **routing}
