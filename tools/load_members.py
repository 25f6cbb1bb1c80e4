"""Fill a DynamoDB table with generated members: `python -m tools.load_members --endpoint-url http://127.0.0.1:8000`.

For local servers; docker-compose.yaml runs it as `sample-data`. A second run changes nothing.
"""

import argparse
import sys
import time
from collections.abc import Sequence

import boto3

from tools.local import members

REGION = "eu-central-1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Create the table where there is none, and put the members."""
    parser = argparse.ArgumentParser(prog="python -m tools.load_members", description=main.__doc__)
    parser.add_argument("--endpoint-url", required=True, help="address of the local DynamoDB")
    parser.add_argument("--count", type=int, default=10_000, help="how many members (10,000)")
    parser.add_argument("--table", default=members.TABLE, help=f"the table ({members.TABLE})")
    given = parser.parse_args(arguments)
    # Local servers take any keys; nothing else is to get these.
    client = boto3.client(
        "dynamodb",
        endpoint_url=given.endpoint_url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    try:
        members.create_table(client, given.table)
    except client.exceptions.ResourceInUseException:
        print(f"table {given.table} is there already")
    began = time.monotonic()
    members.load(client, given.table, given.count)
    print(f"{given.count:,} members in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
