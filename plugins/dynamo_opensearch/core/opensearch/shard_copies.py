"""How many copies of a shard the cluster wants: any number, or as many in each zone.

The latter with ``cluster.routing.allocation.awareness.balance``, as in Amazon's domains with standby: there every index
has two replicas, or five, from its first moment on; it cannot be filled without any.
"""

import re

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError

_MULTIPLE = re.compile(
    r"(?:total copies needs|max cap on auto expand) to be a multiple of total awareness attributes \[(\d+)\]"
)


class ReplicasRefusedError(PermanentError):
    """The cluster wants as many copies of a shard in each of its ``zones``. ``replicas``: of the mapping file."""

    def __init__(self, file: str, replicas: int, zones: int) -> None:
        super().__init__(file, replicas, zones)
        self.file, self.replicas, self.zones = file, replicas, zones

    def __str__(self) -> str:
        return (
            f"OpenSearch refuses mapping file {self.file!r}: with number_of_replicas {self.replicas} a shard has "
            f"{self.replicas + 1} copies, and this cluster wants a multiple of {self.zones}, as many in each zone "
            "(cluster.routing.allocation.awareness.balance, as in Amazon's domains with standby). Nothing was made. "
            f'Write "number_of_replicas": {self.zones - 1} into the settings of the file, and start this DAG again.'
        )


def zones_wanted(error: OpenSearchRequestError) -> int | None:
    """Of which number the copies of a shard must be a multiple, where that is why an index was refused."""
    said = _MULTIPLE.search(error.reason) if error.error_type == "validation_exception" else None
    return int(said[1]) if said else None
