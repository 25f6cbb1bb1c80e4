"""Copies on both DynamoDBs and a real OpenSearch, judged key by key and document by document."""

import base64
import hashlib
from decimal import Decimal

import pytest

from dynamo_opensearch.core.dynamodb.scan import ScanSettings, count_items
from dynamo_opensearch.core.opensearch.index_life import count_documents
from tests.integration.conftest import MakeRig
from tests.support import oracle
from tests.support.rig import Item, Rig, small_item
from tools.local import members
from tools.local.processes import Server

NINES = "9" * 38
EVERY_TYPE: list[Item] = [
    {
        "id": {"S": "types"},
        "S": {"S": 'text \u0001\t\n"\\/ \u2028 \u00e9 \U0001f600'},
        "empty": {"S": ""},
        "N": {"N": NINES},
        "small": {"N": "-1.2345678901234567890123456789012345678E-120"},
        "large": {"N": "9.9999999999999999999999999999999999999E+125"},
        "zero": {"N": "0"},
        "fraction": {"N": "0.10"},
        "B": {"B": bytes(range(256))},
        "BOOL": {"BOOL": False},
        "NULL": {"NULL": True},
        "M": {"M": {"M": {"M": {}}, "L": {"L": [{"N": "1"}, {"M": {"S": {"S": "x"}}}, {"L": []}]}}},
        "L": {"L": []},
        "SS": {"SS": ["b", "a", "\U0001f600"]},
        "NS": {"NS": ["1", "-2.5", NINES]},
        "BS": {"BS": [b"\x00", b"\xff\xfe"]},
        "dotted.name": {"S": "x"},
        " ": {"S": "a field of one space"},
    },
    {"id": {"S": "only a key"}},
    {"id": {"S": "400 KB"}, "text": {"S": "\u00e9" * 199_000}},
    {"id": {"S": "_leading underscore"}},
    {"id": {"S": '\u00e9/?#&%20 "quoted" \\ \U0001f600'}},
]


@pytest.fixture
def rig(make_rig: MakeRig, either_dynamodb: Server) -> Rig:
    made: Rig = make_rig(direct_dynamodb=either_dynamodb.url)
    return made


def test_every_type_arrives_as_the_oracle_expects_it(rig: Rig) -> None:
    rig.create_table()
    for item in EVERY_TYPE:
        rig.boto.put_item(TableName=rig.table, Item=item)
    rig.create_index()
    report = rig.copy().report
    assert (report.scanned, report.offer.indexed) == (len(EVERY_TYPE), len(EVERY_TYPE))
    assert rig.differences(lambda item: str(item["id"]).replace("%", "%25").replace("|", "%7C")) == []


def test_members_arrive_complete_whatever_the_page_size(rig: Rig) -> None:
    rig.key = (members.HASH_KEY,)
    rig.create_table()
    members.load(rig.boto, rig.table, 400)
    rig.create_index()
    report = rig.copy(range(3), 3).report
    assert (report.scanned, report.offer.indexed, report.skipped) == (400, 400, 0)
    assert report.pages > 8
    assert rig.differences(lambda item: str(item[members.HASH_KEY])) == []
    assert count_items(rig.table_client, ScanSettings(total_segments=3), None, rig.clock)[0] == 400


def test_segments_of_several_tasks_cover_the_table(rig: Rig) -> None:
    rig.fill(150)
    rig.create_index()
    scanned = 0
    for segments in (range(2), range(2, 3), range(3, 5)):
        rig.store.value = None
        scanned += rig.copy(segments, 5).report.scanned
    assert scanned == 150
    assert rig.differences() == []


def test_a_second_copy_changes_nothing_but_the_versions(rig: Rig) -> None:
    rig.fill(60)
    rig.create_index()
    rig.copy()
    first = rig.documents()
    report = rig.copy().report
    assert (report.offer.indexed + report.offer.stale, report.offer.rejected) == (60, 0)
    assert rig.documents() == first
    assert rig.differences() == []


def independent_id(*values: object) -> str:
    """The id as the documentation says it, worked out apart from the package."""
    parts = []
    for value in values:
        if isinstance(value, bytes):
            parts.append(base64.b64encode(value).decode())
        elif isinstance(value, Decimal):
            parts.append("0" if value == 0 else f"{value.normalize():f}")
        else:
            parts.append("".join({"%": "%25", "|": "%7C"}.get(letter, letter) for letter in str(value)))
    text = "|".join(parts)
    if len(text.encode()) <= 512:
        return text
    return text.encode()[:446].decode(errors="ignore") + "%~" + hashlib.sha256(text.encode()).hexdigest()


def test_ids_with_every_escape_are_all_different_and_all_there(make_rig: MakeRig, either_dynamodb: Server) -> None:
    rig = make_rig(direct_dynamodb=either_dynamodb.url, key=("PK", "SK"), limit=None)
    rig.create_table()
    texts = [
        "a",
        "a|",
        "|a",
        "a|b",
        "%",
        "%7C",
        "a%7Cb",
        "%25",
        "\u00e9" * 300,
        "\U0001f600" * 200 + "1",
        "x" * 512,
        "_",
        " ",
    ]
    pairs = [(one, other) for one in texts for other in texts]
    rig.put([{"PK": {"S": one}, "SK": {"S": other}} for one, other in pairs])
    rig.create_index()
    assert rig.copy().report.offer.indexed == len(pairs)
    assert set(rig.documents()) == {independent_id(*pair) for pair in pairs}
    assert len(rig.documents()) == len(pairs)


def test_number_and_binary_keys_have_ids_too_and_are_found_again_by_key(
    make_rig: MakeRig, either_dynamodb: Server
) -> None:
    rig = make_rig(direct_dynamodb=either_dynamodb.url, key=("PK", "SK"), limit=3)
    rig.create_table("N", "B")
    numbers = [Decimal("0"), Decimal("-1.50"), Decimal("100"), Decimal("0.001"), Decimal("12345678901234567890")]
    pairs = [(number, content) for number in numbers for content in (b"\x00", b"\xff\xfe|%")]
    rig.put([{"PK": {"N": str(number)}, "SK": {"B": content}} for number, content in pairs])
    rig.create_index()
    assert rig.copy().report.offer.indexed == len(pairs)
    assert set(rig.documents()) == {independent_id(*pair) for pair in pairs}


ORDERS = {
    "exclude_fields": ["internalNote"],
    "filter": {
        "all": [
            {"attribute": "SK", "begins_with": "ORDER#"},
            {"attribute": "entity", "equals": "order"},
            {"attribute": "deletedAt", "exists": False},
        ]
    },
    "flatten": {"customer": "customer_"},
    "renames": {"PK": "customerKey", "SK": "orderId"},
    "routing": "PK",
    "transform": "dynamo_opensearch.samples.order_totals:add_total",
}


def order(number: int, **more: dict[str, object]) -> Item:
    return {
        "PK": {"S": f"CUSTOMER#{number % 7}"},
        "SK": {"S": f"ORDER#{number}"},
        "entity": {"S": "order"},
        "internalNote": {"S": "never shown"},
        "customer": {"M": {"name": {"S": "Ada"}}},
        "lines": {"L": [{"M": {"quantity": {"N": "2"}, "price": {"N": "1.25"}}}]},
        **more,
    }


def test_filter_routing_renames_and_transform_reach_the_index(make_rig: MakeRig, either_dynamodb: Server) -> None:
    rig = make_rig(direct_dynamodb=either_dynamodb.url, key=("PK", "SK"), rules=ORDERS)
    rig.create_table()
    rig.put([order(number) for number in range(40)])
    rig.put([order(40, deletedAt={"S": "x"}), order(41, entity={"S": "customer"})])
    rig.put([{"PK": {"S": "CUSTOMER#1"}, "SK": {"S": "PROFILE"}, "entity": {"S": "order"}}])
    rig.create_index({"_routing": {"required": True}, "enabled": False}, {"number_of_shards": 3})
    report = rig.copy().report
    assert (report.scanned, report.skipped, report.offer.indexed) == (43, 3, 40)
    expected = {
        f"CUSTOMER#{number % 7}|ORDER#{number}": {
            "customerKey": f"CUSTOMER#{number % 7}",
            "orderId": f"ORDER#{number}",
            "entity": "order",
            "customer_name": "Ada",
            "lines": [{"quantity": 2, "price": Decimal("1.25")}],
            "total": Decimal("2.5"),
        }
        for number in range(40)
    }
    assert oracle.differences(expected, rig.documents()) == []
    found = oracle.exact_call(f"{rig.direct_opensearch}/{rig.index}/_search?routing=CUSTOMER%233&size=99")["hits"][
        "hits"
    ]
    assert {hit["_routing"] for hit in found} >= {"CUSTOMER#3"}


def test_a_count_sees_documents_that_no_refresh_has_shown_yet(rig: Rig) -> None:
    rig.fill(30)
    rig.create_index(settings={"refresh_interval": "-1"})
    rig.copy()
    assert rig.call(f"{rig.index}/_count")["count"] == 0
    assert count_documents(rig.patient, rig.index) == 30


def test_a_resumed_copy_reads_only_what_was_not_acknowledged(rig: Rig) -> None:
    rig.fill(200)
    rig.create_index()
    rig.limit, rig.bulk_bytes, rig.requests_in_flight = 10, 1_000, 1

    class StopError(RuntimeError):
        pass

    saved = rig.store.save

    def save(value: dict[str, object]) -> None:
        saved(value)
        if value["scanned"] in range(80, 200):
            raise StopError

    rig.store.save = save  # type: ignore[method-assign]
    with pytest.raises(StopError):
        rig.copy(range(1), 1)
    acknowledged = rig.store.value
    assert acknowledged is not None
    rig.store.save = saved  # type: ignore[method-assign]
    rig.put([small_item(number, "changed meanwhile") for number in range(200)])
    progress = rig.copy(range(1), 1)
    assert progress.report.scanned == progress.report.offer.indexed == 200
    assert progress.is_complete
    unchanged = [one for one in rig.documents().values() if one["value"] == "first"]
    assert len(unchanged) == acknowledged["scanned"]
