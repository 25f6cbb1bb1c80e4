"""A deterministic table of members, and a fast way to load it.

Member number n is always the same, whoever makes it and in whatever order, so
that a test can say what a table must hold without keeping a copy of it.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeSerializer

from tools.local.samples import CITIES, FIRST_NAMES, LAST_NAMES, STATUSES, STREETS, TAGS, TIERS

Member = dict[str, Any]
"""Plain Python values: str, int, Decimal, bool, dict, set of str."""

TypedItem = dict[str, dict[str, Any]]
"""DynamoDB's typed JSON, as boto3's client takes it."""

TABLE = "members"
DEAD_LETTER_QUEUE = "members-indexer-dlq"
"""Named in include/targets/members.yaml."""
HASH_KEY = "memberId"
NAMESPACE = uuid.UUID("6f4b8c0e-0f5e-4f0a-9d43-6b1f3f6f2b6a")
FIRST_DAY = date(2015, 1, 1)
LATEST = datetime(2026, 1, 1, tzinfo=UTC)

BATCH = 25
"""Items of one BatchWriteItem: DynamoDB takes no more."""
THREADS = 4
TRIES = 10

_SERIALIZER = TypeSerializer()


class LoadError(RuntimeError):
    """A batch was not taken whole, however often it was sent."""

    def __init__(self, table: str, left: int) -> None:
        super().__init__(table, left)
        self.table, self.left = table, left

    def __str__(self) -> str:
        return f"{self.left} items of a batch for table {self.table!r} were not taken in {TRIES} tries"


def member(number: int) -> Member:
    """Member `number`, as plain values; about 600 bytes as typed JSON."""
    chance = random.Random(number)
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    city, postal_prefix, country = chance.choice(CITIES)
    joined = FIRST_DAY + timedelta(days=chance.randrange(4_000))
    updated = LATEST - timedelta(seconds=chance.randrange(31_000_000))
    return {
        HASH_KEY: member_id(number),
        "firstName": first,
        "lastName": last,
        "email": f"{first}.{last}.{number}@example.com".lower(),
        "phone": f"+49 30 {chance.randrange(1_000_000, 9_999_999)}",
        "status": chance.choices(STATUSES, weights=(80, 12, 8))[0],
        "tier": chance.choices(TIERS, weights=(60, 25, 12, 3))[0],
        "birthDate": (date(1940, 1, 1) + timedelta(days=chance.randrange(24_000))).isoformat(),
        "joinedAt": f"{joined.isoformat()}T{chance.randrange(24):02}:00:00Z",
        "updatedAt": updated.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "points": chance.randrange(250_000),
        "balance": _as_dynamodb_keeps_it(Decimal(chance.randrange(10_000_000)).scaleb(-2)),
        "address": {
            "street": f"{chance.choice(STREETS)} {chance.randrange(1, 200)}",
            "city": city,
            "postalCode": f"{postal_prefix}{chance.randrange(1000):03}",
            "country": country,
        },
        "tags": set(chance.sample(TAGS, chance.randrange(1, 4))),
        "newsletter": chance.random() < 0.4,
    }


def member_id(number: int) -> str:
    """The key of member `number`."""
    return str(uuid.uuid5(NAMESPACE, str(number)))


def _as_dynamodb_keeps_it(number: Decimal) -> Decimal:
    """Without zeros at the end, so that what is read is what was written."""
    text = str(number)
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


def typed(plain: Member) -> TypedItem:
    """A member as typed JSON, sets in order."""
    ordered = {attribute: _SERIALIZER.serialize(value) for attribute, value in plain.items()}
    ordered["tags"]["SS"].sort()
    return ordered


def create_table(client: Any, table: str = TABLE) -> None:
    """Create the table, its stream on with both images, and wait until it is active.

    Raises:
        botocore.exceptions.ClientError: there is one of that name already.
    """
    client.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": HASH_KEY, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": HASH_KEY, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def load(
    client: Any,
    table: str,
    count: int,
    *,
    first: int = 0,
    on_progress: Callable[[int], None] = lambda _loaded: None,
) -> None:
    """Put members `first` to `first + count - 1`; running it again changes nothing.

    Args:
        client: boto3's DynamoDB client.
        table: an existing table, see `create_table`.
        count: how many.
        first: number of the first member.
        on_progress: told how many more are in the table, from several threads.

    Raises:
        LoadError: the table did not take a batch.
    """

    def put(numbers: range) -> None:
        put_batch(client, table, [typed(member(number)) for number in numbers])
        on_progress(len(numbers))

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(put, _batches(first, count)):
            pass


def put_batch(client: Any, table: str, items: list[TypedItem]) -> None:
    """Put up to 25 items, and what the table left unprocessed again, with growing pauses.

    Raises:
        LoadError: some were not taken.
    """
    left: list[Any] = [{"PutRequest": {"Item": item}} for item in items]
    for number in range(TRIES):
        left = client.batch_write_item(RequestItems={table: left})["UnprocessedItems"].get(table, [])
        if not left:
            return
        time.sleep(random.uniform(0.5, 1.0) * min(0.05 * 2**number, 5.0))
    raise LoadError(table, len(left))


def _batches(first: int, count: int) -> Iterator[range]:
    numbers = range(first, first + count)
    return (numbers[start : start + BATCH] for start in range(0, count, BATCH))
