"""The benchmark's replay server: pages, segments, cycles, and requests cut out of a stream."""

import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from tools.bench.pages import NoSuchPageError, PageBook, read_pages, recorded_page, save_pages
from tools.bench.replay import Answers, _take_request

ITEMS_OF_PAGES = (3, 3, 3, 3, 2)


def recorded() -> list[Any]:
    numbers = iter(range(100))
    return [
        recorded_page(
            {
                "Items": [{"memberId": {"S": f"id-{next(numbers)}"}, "name": {"S": "Zoë"}} for _ in range(count)],
                "Count": count,
                "ScannedCount": count,
                "ConsumedCapacity": {"TableName": "members", "CapacityUnits": 0.5},
            }
        )
        for count in ITEMS_OF_PAGES
    ]


def scanned_ids(book: PageBook, total_segments: int) -> list[str]:
    ids = []
    for segment in range(total_segments):
        if not book.segment_pages(segment, total_segments):
            continue
        request: dict[str, Any] = {"Segment": segment, "TotalSegments": total_segments}
        while True:
            answer = json.loads(book.answer(request))
            assert answer["Count"] == len(answer["Items"])
            ids += [item["memberId"]["S"] for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            assert answer["LastEvaluatedKey"] == {"memberId": answer["Items"][-1]["memberId"]}
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    return ids


@pytest.mark.parametrize("total_segments", [1, 2, 4, 5, 9])
@pytest.mark.parametrize("cycles", [1, 3])
def test_a_scan_sees_every_item_once_however_many_segments_and_cycles(total_segments: int, cycles: int) -> None:
    book = PageBook(recorded(), cycles)
    ids = scanned_ids(book, total_segments)
    assert len(ids) == len(set(ids)) == book.item_count == sum(ITEMS_OF_PAGES) * cycles


def test_the_first_cycle_is_as_it_was_recorded() -> None:
    assert scanned_ids(PageBook(recorded()), 1) == [f"id-{number}" for number in range(sum(ITEMS_OF_PAGES))]


def test_a_start_key_of_no_page_is_an_error() -> None:
    with pytest.raises(NoSuchPageError):
        PageBook(recorded()).answer({"ExclusiveStartKey": {"memberId": {"S": "id-1"}}})


def test_a_start_key_of_another_segment_is_an_error() -> None:
    with pytest.raises(NoSuchPageError):
        PageBook(recorded()).answer(
            {"Segment": 1, "TotalSegments": 2, "ExclusiveStartKey": {"memberId": {"S": "id-13"}}}
        )


def test_saved_pages_are_read_in_order(tmp_path: Path) -> None:
    save_pages(recorded(), tmp_path)
    assert read_pages(tmp_path) == recorded()


def test_an_answer_carries_its_length_and_checksum_and_a_date() -> None:
    head, body = Answers(PageBook(recorded())).parts(b"DynamoDB_20120810.Scan", b"{}")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
    assert int(headers["Content-Length"]) == len(body)
    assert int(headers["x-amz-crc32"]) == zlib.crc32(body)
    assert headers["Date"].endswith("GMT")


def test_a_projection_leaves_only_what_it_names() -> None:
    answers = Answers(PageBook(recorded(), 2))
    projection = {"ProjectionExpression": "#a0", "ExpressionAttributeNames": {"#a0": "memberId"}}
    plain = {"ExclusiveStartKey": {"memberId": {"S": "id-13"}}}
    head, body = answers.parts(b"DynamoDB_20120810.Scan", json.dumps(plain | projection).encode())
    assert json.loads(body)["Items"] == [{"memberId": {"S": f"1~id-{number}"}} for number in range(3)]
    assert f"x-amz-crc32: {zlib.crc32(body)}" in head.decode()
    whole = json.loads(answers.parts(b"DynamoDB_20120810.Scan", json.dumps(plain).encode())[1])
    assert whole["Items"][0] == {"memberId": {"S": "1~id-0"}, "name": {"S": "Zoë"}}
    assert whole["LastEvaluatedKey"] == json.loads(body)["LastEvaluatedKey"]


def test_describe_table_says_how_many_items_there_are() -> None:
    _, body = Answers(PageBook(recorded(), 2)).parts(b"DynamoDB_20120810.DescribeTable", b"{}")
    assert json.loads(body)["Table"]["ItemCount"] == 2 * sum(ITEMS_OF_PAGES)


REQUEST = b"POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.Scan\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("received", [0, 10, len(REQUEST) - 3, len(REQUEST) - 1])
def test_a_request_is_waited_for_until_it_is_whole(received: int) -> None:
    assert _take_request(REQUEST[:received]) is None


def test_what_follows_a_request_is_kept() -> None:
    assert _take_request(REQUEST + REQUEST[:5]) == (b"DynamoDB_20120810.Scan", b"{}", REQUEST[:5])
