"""DynamoDB through the Amazon provider's connection: credentials by boto3's chain, retries left to the core."""

from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

from dynamo_opensearch.core.aws.client_config import client_config
from dynamo_opensearch.core.dynamodb.fast_parsing import install_fast_parsing
from dynamo_opensearch.core.quiet import quiet_client_logs
from dynamo_opensearch.hooks.assumed_role import assuming
from dynamo_opensearch.hooks.connection_rules import check_aws_connection, check_keys


class DynamoDbTableHook(AwsBaseHook):
    """boto3 clients of one connection, for a table and what stands around it.

    botocore's own retries are off: the core is the one layer that retries. Nothing is connected in the constructor.

    ``timeout_s``: for a connection to be made, and for each part of an answer; None: 10 s and 60 s.
    """

    def __init__(
        self, aws_conn_id: str, region_name: str | None = None, connections: int = 8, timeout_s: float | None = None
    ) -> None:
        super().__init__(
            aws_conn_id=aws_conn_id,
            region_name=region_name,
            client_type="dynamodb",
            config=client_config(
                connections=connections, connect_timeout_s=timeout_s or 10, read_timeout_s=timeout_s or 60
            ),
        )

    def table_client(self) -> Any:
        """A client whose Scan and BatchGetItem answer in typed JSON.

        Raises:
            LiteralCredentialsError: the connection holds access keys and no loopback endpoint.
            LoginInAddressError: an address in it has a login.
            ConnectionMissingError: it is not there.
            AccessDeniedError: its role cannot be assumed.
        """
        client = self._checked_client("dynamodb")
        install_fast_parsing(client)
        return client

    def streams_client(self) -> Any:
        """A client of DynamoDB Streams whose GetRecords answers in typed JSON.

        Raises:
            LiteralCredentialsError, LoginInAddressError, ConnectionMissingError: as ``table_client``.
            AccessDeniedError: likewise.
        """
        client = self._checked_client("dynamodbstreams")
        install_fast_parsing(client)
        return client

    def cloudwatch_client(self) -> Any:
        """A client of CloudWatch, where the indexer's lag is to be seen.

        Raises:
            LiteralCredentialsError, LoginInAddressError, ConnectionMissingError: as ``table_client``.
            AccessDeniedError: likewise.
        """
        return self._checked_client("cloudwatch")

    def sqs_client(self) -> Any:
        """A client of SQS, where the indexer's dead letters wait.

        Raises:
            LiteralCredentialsError, LoginInAddressError, ConnectionMissingError: as ``table_client``.
            AccessDeniedError: likewise.
        """
        return self._checked_client("sqs")

    def s3_client(self) -> Any:
        """A client of S3, where dead letters lie that come with their payload.

        Raises:
            LiteralCredentialsError, LoginInAddressError, ConnectionMissingError: as ``table_client``.
            AccessDeniedError: likewise.
        """
        return self._checked_client("s3")

    def client(self, service: str) -> Any:
        """A client of any service, by boto3's name of it, for calls of the control plane.

        Raises:
            LiteralCredentialsError, LoginInAddressError, ConnectionMissingError: as ``table_client``.
            AccessDeniedError: likewise.
        """
        return self._checked_client(service)

    def _checked_client(self, service: str) -> Any:
        quiet_client_logs()
        check_aws_connection(self)
        with assuming(self):
            client = self._client_of(service)
        check_keys(self, client.meta.endpoint_url)
        return client

    def _client_of(self, service: str) -> Any:
        """A client of one service of the connection, with that service's own endpoint."""
        return self.get_session(region_name=self.region_name).client(
            service_name=service,
            endpoint_url=self.conn_config.get_service_endpoint_url(service),
            config=self._get_config(),
            verify=self.verify,
        )
