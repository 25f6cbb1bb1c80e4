"""Whether OpenSearch answers this worker: one real request, with the connection's own authentication."""

from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.look import Look
from dynamo_opensearch.core.preflight.refusals import policy_of_preflight
from dynamo_opensearch.core.preflight.side import Side

REACHABILITY = "reachability"
_TIMEOUT_S = 10.0


def look_at_reachability(side: Side) -> Look:
    """``GET /``. Whatever comes of it is a finding or a pass: a request that fails is what this check is for."""
    began_s = side.clock.monotonic_s()
    try:
        side.cluster.request("GET", "/", timeout_s=_TIMEOUT_S)
    except ServiceUnavailableError as error:
        return Look(seen=f"{side.endpoint} does not answer", findings=(_silent(side, error),))
    except AccessDeniedError as error:
        return Look(seen=f"{side.endpoint} refuses", findings=(_refused(side, error.code),))
    except OpenSearchRequestError as error:
        return Look(seen=f"{side.endpoint} answers {error.status}", findings=(_another(side, error.status),))
    took_ms = (side.clock.monotonic_s() - began_s) * 1e3
    return Look(seen=f"{side.endpoint} answered in {took_ms:.0f} ms")


def _silent(side: Side, error: ServiceUnavailableError) -> Finding:
    return Finding(
        what=f"GET {side.endpoint}/ from this worker",
        found=f"{error.last_problem}, {error.attempts} times in {error.waited_s:.0f} s",
        expected="an answer",
        remedy=f"curl -sv -o /dev/null {side.endpoint}/ on a worker shows where it ends: name, route, security group "
        f"or certificate; host, port and ca_certs are those of connection {side.environment.opensearch_conn_id}",
    )


def _refused(side: Side, code: str) -> Finding:
    if side.is_signed:
        domain = side.environment.opensearch.domain
        remedy = (
            f"allow es:ESHttpGet on {domain or 'the domain'} to the worker's role, in its policy "
            f"({policy_of_preflight(side)} of docs/iam.md) and in the domain's access policy"
        )
        if domain is not None:
            describe = side.aws_line(
                "opensearch",
                "describe-domain-config",
                domain_name=domain.rpartition("/")[2],
                query="DomainConfig.AccessPolicies",
            )
            remedy = f"{remedy}: {describe}"
    else:
        remedy = f"correct login and password of connection {side.environment.opensearch_conn_id}"
    return Finding(
        what=f"GET {side.endpoint}/ from this worker", found=f"refused with {code}", expected="an answer", remedy=remedy
    )


def _another(side: Side, status: int) -> Finding:
    return Finding(
        what=f"GET {side.endpoint}/ from this worker",
        found=f"status {status}",
        expected="OpenSearch, which answers 200",
        remedy=f"correct host and port of connection {side.environment.opensearch_conn_id}; a proxy or OpenSearch "
        "Serverless answers like that",
    )
