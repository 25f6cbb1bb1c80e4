"""DynamoDB through the Amazon provider's connection: credentials by boto3's chain, retries left to the core."""

from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.config import Config

from dynamo_opensearch.core.dynamodb.fast_parsing import install_fast_parsing
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.loopback import is_loopback
from dynamo_opensearch.core.quiet import quiet_client_logs
from dynamo_opensearch.hooks.assumed_role import assuming


class LiteralCredentialsError(PermanentError):
    """Access keys stand in a connection that leads to AWS."""

    def __init__(self, conn_id: str) -> None:
        super().__init__(conn_id)
        self.conn_id = conn_id

    def __str__(self) -> str:
        return (
            f"connection {self.conn_id!r} holds access keys; they are accepted with a loopback endpoint only. "
            "Remove them: boto3 finds the task's role, the execution role, the instance profile or the environment."
        )


class DynamoDbTableHook(AwsBaseHook):
    """boto3 clients of one connection, for a table and what stands around it.

    botocore's own retries are off: the core is the one layer that retries. Nothing is connected in the constructor.
    """

    def __init__(self, aws_conn_id: str, region_name: str | None = None, connections: int = 8) -> None:
        super().__init__(
            aws_conn_id=aws_conn_id,
            region_name=region_name,
            client_type="dynamodb",
            config=Config(
                retries={"total_max_attempts": 1, "mode": "standard"},
                max_pool_connections=connections,
                connect_timeout=10,
                read_timeout=60,
            ),
        )

    def table_client(self) -> Any:
        """A client whose Scan and BatchGetItem answer in typed JSON.

        Raises:
            LiteralCredentialsError: the connection holds access keys and no loopback endpoint.
            AccessDeniedError: its role cannot be assumed.
        """
        client = self._checked_client("dynamodb")
        install_fast_parsing(client)
        return client

    def streams_client(self) -> Any:
        """A client of DynamoDB Streams whose GetRecords answers in typed JSON.

        Raises:
            LiteralCredentialsError, AccessDeniedError: as ``table_client``.
        """
        client = self._checked_client("dynamodbstreams")
        install_fast_parsing(client)
        return client

    def cloudwatch_client(self) -> Any:
        """A client of CloudWatch, where the indexer's lag is to be seen.

        Raises:
            LiteralCredentialsError, AccessDeniedError: as ``table_client``.
        """
        return self._checked_client("cloudwatch")

    def sqs_client(self) -> Any:
        """A client of SQS, where the indexer's dead letters wait.

        Raises:
            LiteralCredentialsError, AccessDeniedError: as ``table_client``.
        """
        return self._checked_client("sqs")

    def s3_client(self) -> Any:
        """A client of S3, where dead letters lie that come with their payload.

        Raises:
            LiteralCredentialsError, AccessDeniedError: as ``table_client``.
        """
        return self._checked_client("s3")

    def client(self, service: str) -> Any:
        """A client of any service, by boto3's name of it, for calls of the control plane.

        Raises:
            LiteralCredentialsError, AccessDeniedError: as ``table_client``.
        """
        return self._checked_client(service)

    def _checked_client(self, service: str) -> Any:
        quiet_client_logs()
        with assuming(self):
            client = self._client_of(service)
        if self.conn_config.aws_access_key_id and not is_loopback(client.meta.endpoint_url):
            raise LiteralCredentialsError(str(self.aws_conn_id))
        return client

    def _client_of(self, service: str) -> Any:
        """A client of one service of the connection, with that service's own endpoint."""
        return self.get_session(region_name=self.region_name).client(
            service_name=service,
            endpoint_url=self.conn_config.get_service_endpoint_url(service),
            config=self._get_config(),
            verify=self.verify,
        )
