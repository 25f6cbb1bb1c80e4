"""What is asked of both indices of a copy by `_reindex`, before it and meanwhile."""

from dynamo_opensearch.core.opensearch.alias import aliases_on
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.index_life import IncompleteCountError
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.opensearch.patient import PatientCluster

_MOST_BATCH = 1_000
_LEAST_BATCH = 10


def problem_of(patient: PatientCluster, index: str, uuid: str, aliases: tuple[str, ...]) -> str | None:
    """Why this is not the index with that uuid and one of these aliases; None when it is."""
    try:
        state = read_index(patient, index)
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise
        return "was deleted"
    if state.uuid != uuid:
        return "was deleted and made anew"
    if not aliases_on(patient, index).keys() & set(aliases):
        return f"lost its alias {aliases[0]!r}"
    return None


def deletions(patient: PatientCluster, index: str) -> int:
    """Deletions that the primaries have carried out since they were opened."""
    answer = patient.request("GET", f"/{index}/_stats/indexing")
    if failed := answer["_shards"]["failed"]:
        raise IncompleteCountError(index, failed)
    return int(answer["_all"]["primaries"]["indexing"]["delete_total"])


def batch_documents(patient: PatientCluster, index: str, bulk_bytes: int) -> int:
    """How many documents make a batch of about that size; twice their compressed size is taken for their own."""
    primaries = patient.request("GET", f"/{index}/_stats/store,docs")["_all"]["primaries"]
    average_bytes = 2 * primaries["store"]["size_in_bytes"] / max(1, primaries["docs"]["count"])
    return max(_LEAST_BATCH, min(_MOST_BATCH, int(bulk_bytes / max(1.0, average_bytes))))
