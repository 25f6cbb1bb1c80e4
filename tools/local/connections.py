"""The environment variables by which Airflow and the package find the local servers."""

import json
from typing import Any

import boto3
from botocore.config import Config

from tools.local import ministack
from tools.local.processes import Launch, Server

SERVICES = (
    "cloudwatch",
    "cognito-idp",
    "dynamodb",
    "dynamodbstreams",
    "ec2",
    "ecs",
    "iam",
    "kms",
    "lambda",
    "opensearch",
    "s3",
    "sqs",
    "sts",
)
# MiniStack takes any; the package takes literal keys for loopback endpoints only.
ACCESS_KEY = "local"
SECRET_KEY = "local"


def connections(aws: Server | Launch, opensearch: Server | Launch) -> dict[str, str]:
    """`aws_default` and `opensearch_default`, as AIRFLOW_CONN_* variables."""
    return {
        "AIRFLOW_CONN_AWS_DEFAULT": aws_connection(aws.url),
        "AIRFLOW_CONN_OPENSEARCH_DEFAULT": opensearch_connection(opensearch.host, opensearch.port),
    }


def aws_connection(url: str) -> str:
    """An AWS connection whose services are all at one address."""
    endpoints = {service: {"endpoint_url": url} for service in SERVICES}
    return json.dumps(
        {
            "conn_type": "aws",
            "login": ACCESS_KEY,
            "password": SECRET_KEY,
            "extra": {"region_name": ministack.REGION, "service_config": endpoints},
        }
    )


def opensearch_connection(host: str, port: int) -> str:
    """An OpenSearch connection without authentication."""
    return json.dumps(
        {
            "conn_type": "opensearch",
            "host": host,
            "port": port,
            "schema": "http",
            "extra": {"auth": "none"},
        }
    )


def aws_client(service: str, url: str) -> Any:
    """A boto3 client for a local server, made for loading: its parameters are not validated."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=ministack.REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        # No proxies: straight to the loopback address, whatever the shell names.
        config=Config(parameter_validation=False, max_pool_connections=20, proxies={}),
    )
