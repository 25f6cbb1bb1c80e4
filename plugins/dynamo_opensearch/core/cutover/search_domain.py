"""The OpenSearch domain: made, not being changed, and answering requests of this package."""

from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane, ResourceMissingError
from dynamo_opensearch.core.cutover.readiness import Readiness
from dynamo_opensearch.core.errors import PermanentError, ServiceUnavailableError
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.opensearch.server_version import COMPARISON, check_server

_CHANGING = {
    "Creating": "is being created",
    "Modifying": "is being changed",
    "UpgradingEngineVersion": "is being upgraded to another version",
    "UpdatingServiceSoftware": "is being given new service software",
}
"""By DomainProcessingStatus; what passes by itself. All but the first may take hours on a large domain."""

_TIMEOUT_S = 10.0
"""A closed port of a VPC is silent."""

_GONE = {"Deleting": "is being deleted", "Isolated": "is suspended"}


class DomainGoneError(PermanentError):
    """The domain is being deleted, or was suspended."""

    def __init__(self, domain: str, state: str) -> None:
        super().__init__(domain, state)
        self.domain, self.state = domain, state

    def __str__(self) -> str:
        return (
            f"OpenSearch domain {self.domain!r} {self.state}; nothing was made. Check opensearch.domain in the target "
            "file and the domain in the console, have it made again where it is missing, then start this DAG again."
        )


class SearchDomain:
    """``domain``: the ARN of an Amazon OpenSearch Service domain; None for a cluster of one's own.

    ``cluster`` should not wait long by itself: whoever waits looks again.
    """

    def __init__(self, plane: ControlPlane, domain: str | None, cluster: PatientCluster, endpoint: str) -> None:
        self._plane, self._domain, self._cluster, self._endpoint = plane, domain, cluster, endpoint

    def look(self) -> Readiness:
        """Whether it is there, at rest, and answers through the connection; ``value``: its version. Reads only.

        Raises:
            DomainGoneError: it is being deleted, or was suspended.
            ServerUnfitError: what answers is too old, or no OpenSearch.
            AccessDeniedError, RequestRefusedError, OpenSearchRequestError: somebody has to mend it.
            ServiceUnavailableError: AWS's control plane went on failing.
        """
        changing = self._changing()
        if changing is not None:
            return Readiness(is_ready=False, seen=changing)
        try:
            self._cluster.request("GET", "/", timeout_s=_TIMEOUT_S)
            version = check_server(self._cluster, COMPARISON)
        except ServiceUnavailableError as error:
            return Readiness(is_ready=False, seen=f"{self._endpoint} does not answer ({error.last_problem})")
        domain = "" if self._domain is None else f"domain {_name(self._domain)!r} is active; "
        return Readiness(
            is_ready=True, seen=f"{domain}OpenSearch {version} answers at {self._endpoint}", value=str(version)
        )

    def _changing(self) -> str | None:
        """What goes on with the domain; None where it is at rest, or there is none to ask about."""
        if self._domain is None:
            return None
        name = _name(self._domain)
        try:
            status = self._plane.ask("opensearch", "describe_domain", name, DomainName=name)["DomainStatus"]
        except ResourceMissingError:
            region = self._domain.split(":")[3]
            return (
                f"there is no OpenSearch domain {name!r} in {region} for this account, or not yet: have it made, or "
                "correct opensearch.domain in the target file"
            )
        state = _state(status)
        if state in _GONE:
            raise DomainGoneError(name, _GONE[state])
        return f"OpenSearch domain {name!r} {_CHANGING[state]}{_step(status)}" if state in _CHANGING else None


def _name(domain: str) -> str:
    return domain.rpartition("/")[2]


def _state(status: dict[str, Any]) -> str:
    """As DomainProcessingStatus calls it; where an answer does not have that, from what else it says."""
    if status.get("Deleted"):
        return "Deleting"
    if said := status.get("DomainProcessingStatus"):
        return str(said)
    if not status.get("Created") or not (status.get("Endpoint") or status.get("Endpoints")):
        return "Creating"
    if status.get("UpgradeProcessing"):
        return "UpgradingEngineVersion"
    return "Modifying" if status.get("Processing") else "Active"


def _step(status: dict[str, Any]) -> str:
    """What AWS says of how far a change has come."""
    details = status.get("ChangeProgressDetails") or {}
    said = [str(details[name]) for name in ("ConfigChangeStatus", "Message") if details.get(name)]
    return f" ({': '.join(said)})" if said else ""
