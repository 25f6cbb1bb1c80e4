"""OpenSearch: no authentication, basic, or AWS Signature Version 4; certificates verified."""

from functools import cached_property
from typing import Any

from airflow.sdk import BaseHook
from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth

from dynamo_opensearch.core.errors import PermanentError, SyncError
from dynamo_opensearch.core.loopback import is_loopback
from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster, make_client
from dynamo_opensearch.core.quiet import quiet_client_logs
from dynamo_opensearch.hooks.assumed_role import assuming

_AUTHENTICATIONS = ("none", "basic", "sigv4")


class OpenSearchConnectionError(PermanentError):
    """The connection cannot be used as it is written."""

    def __init__(self, conn_id: str, problem: str) -> None:
        super().__init__(conn_id, problem)
        self.conn_id, self.problem = conn_id, problem

    def __str__(self) -> str:
        return f"connection {self.conn_id!r}: {self.problem}"


class OpenSearchHook(BaseHook):
    """A connection of type ``opensearch``; does nothing in its constructor.

    Extra: ``{"auth": "sigv4" | "basic" | "none", "region", "service": "es", "aws_conn_id", "ca_certs",
    "verify_certs"}``. ``sigv4`` takes its credentials from the AWS connection (boto3's chain), at each request, so
    that they may expire; they are written nowhere. ``verify_certs: false`` is accepted for loopback addresses only.
    """

    conn_name_attr = "opensearch_conn_id"
    default_conn_name = "opensearch_default"
    conn_type = "opensearch"
    hook_name = "OpenSearch (DynamoDB operations)"

    def __init__(self, opensearch_conn_id: str = default_conn_name, connections: int = 8) -> None:
        super().__init__()
        self.opensearch_conn_id = opensearch_conn_id
        self._connections = connections

    def get_conn(self) -> OpenSearch:
        """An opensearch-py client that neither retries nor logs.

        Raises:
            OpenSearchConnectionError: the connection's fields make no sense.
            AccessDeniedError: the role of its AWS connection cannot be assumed.
        """
        return self._client

    def cluster(self) -> OpenSearchCluster:
        """The client as the core's port.

        Raises:
            OpenSearchConnectionError, AccessDeniedError: as ``get_conn``.
        """
        return OpenSearchCluster(self.get_conn())

    def endpoint(self) -> tuple[str, bool]:
        """The URL that requests go to, without credentials, and whether they are signed (SigV4). Connects to nothing.

        Raises:
            OpenSearchConnectionError: as ``get_conn``.
        """
        connection = self.get_connection(self.opensearch_conn_id)
        scheme, _, address = self._url(connection).partition("://")
        return f"{scheme}://{address.rpartition('@')[2]}", connection.extra_dejson.get("auth") == "sigv4"

    def test_connection(self) -> tuple[bool, str]:
        """For the UI's button: one request, and what came of it."""
        try:
            answer = self.cluster().request("GET", "/", timeout_s=10)
        except SyncError as error:
            return False, str(error)
        version = answer.get("version", {})
        return True, f"{version.get('distribution', 'unknown')} {version.get('number', '')} answered"

    @cached_property
    def _client(self) -> OpenSearch:
        quiet_client_logs()
        connection = self.get_connection(self.opensearch_conn_id)
        extra = connection.extra_dejson
        url = self._url(connection)
        return make_client(
            url,
            http_auth=self._authentication(connection, extra, url),
            pool_maxsize=self._connections,
            **self._certificates(url, extra),
        )

    def _url(self, connection: Any) -> str:
        if not connection.host:
            raise OpenSearchConnectionError(self.opensearch_conn_id, "has no host")
        scheme = connection.schema or "https"
        if scheme not in ("http", "https"):
            raise OpenSearchConnectionError(self.opensearch_conn_id, f"schema must be http or https, got {scheme!r}")
        if "//" in connection.host:
            raise OpenSearchConnectionError(self.opensearch_conn_id, "host must not hold a scheme; put it into schema")
        return f"{scheme}://{connection.host}:{connection.port or (443 if scheme == 'https' else 80)}"

    def _certificates(self, url: str, extra: dict[str, Any]) -> dict[str, Any]:
        if not url.startswith("https"):
            return {}
        verify = extra.get("verify_certs", True)
        if verify is False and not is_loopback(url):
            raise OpenSearchConnectionError(
                self.opensearch_conn_id, "verify_certs false is accepted for loopback addresses only; give ca_certs"
            )
        named = {"ca_certs": extra["ca_certs"]} if "ca_certs" in extra else {}
        return {"use_ssl": True, "verify_certs": verify is not False, "ssl_show_warn": False, **named}

    def _authentication(self, connection: Any, extra: dict[str, Any], url: str) -> Any:
        kind = extra.get("auth", "basic" if connection.login else "none")
        if kind not in _AUTHENTICATIONS:
            raise OpenSearchConnectionError(
                self.opensearch_conn_id, f"auth must be one of {', '.join(_AUTHENTICATIONS)}, got {kind!r}"
            )
        if kind == "basic":
            if not connection.login or not connection.password:
                raise OpenSearchConnectionError(self.opensearch_conn_id, "auth basic needs login and password")
            return (connection.login, connection.password)
        return self._signer(extra, url) if kind == "sigv4" else None

    def _signer(self, extra: dict[str, Any], url: str) -> Urllib3AWSV4SignerAuth:
        from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

        service = extra.get("service", "es")
        if service != "es":
            raise OpenSearchConnectionError(
                self.opensearch_conn_id,
                f"service must be es, got {service!r}: OpenSearch Serverless (aoss) lacks calls that these DAGs need",
            )
        hook: AwsGenericHook[Any] = AwsGenericHook(
            aws_conn_id=extra.get("aws_conn_id", "aws_default"), region_name=extra.get("region"), client_type="sts"
        )
        if hook.conn_config.aws_access_key_id and not is_loopback(url):
            raise OpenSearchConnectionError(
                self.opensearch_conn_id,
                f"its AWS connection {hook.aws_conn_id!r} holds access keys; they are accepted for loopback addresses "
                "only. Remove them: boto3 finds the role of the task, or the environment's credentials",
            )
        with assuming(hook):
            session = hook.get_session()
            credentials = session.get_credentials()
        if credentials is None:
            raise OpenSearchConnectionError(self.opensearch_conn_id, "auth sigv4 found no AWS credentials")
        region = extra.get("region") or session.region_name
        if not region:
            raise OpenSearchConnectionError(self.opensearch_conn_id, "auth sigv4 needs a region")
        return Urllib3AWSV4SignerAuth(credentials, region, service)
