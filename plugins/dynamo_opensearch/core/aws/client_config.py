"""How boto3's clients are set up: their own retries off, for the core is the one layer that retries."""

from botocore.config import Config

USER_AGENT = "dynamo-opensearch"
"""Given, since botocore otherwise makes it anew for every request, twice: a twentieth of the CPU time of reading keys.

boto3 and Airflow's hook add what they are.
"""


def client_config(*, connections: int = 10, connect_timeout_s: float = 10.0, read_timeout_s: float = 60.0) -> Config:
    """``read_timeout_s``: for each part of an answer."""
    return Config(
        user_agent=USER_AGENT,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=connections,
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
    )
