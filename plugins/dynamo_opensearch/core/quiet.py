"""Keeping items and credentials out of logs: botocore and urllib3 write bodies and headers at DEBUG."""

import logging

_TALKATIVE = ("botocore", "boto3", "urllib3", "opensearch", "opensearchpy", "s3fs", "fsspec", "aiobotocore")


def quiet_client_logs() -> None:
    """Set these libraries' loggers to WARNING for this process, whatever level the host logs at. Safe to call again."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
