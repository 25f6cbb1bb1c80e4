"""The table's stream: on, with the images that the indexer needs."""

from collections.abc import Iterator
from typing import Any

from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.look import Look, in_terraform
from dynamo_opensearch.core.preflight.side import Side


def look_at_stream(side: Side) -> Look:
    """The stream against ``stream.view_type`` of the target file.

    Raises:
        BlockedError: the table is not there.
        AccessDeniedError, ServiceUnavailableError: it cannot be asked.
    """
    described = side.table_that_is_there()
    specification = described.get("StreamSpecification") or {}
    is_on = bool(specification.get("StreamEnabled"))
    view = str(specification.get("StreamViewType", "nothing"))
    return Look(
        seen=f"stream of {side.target.table}: {view if is_on else 'off'}",
        findings=tuple(_findings(side, view if is_on else None)),
        fields={"stream_enabled": is_on, "stream_view_type": view if is_on else None},
        align=in_terraform(f"aws_dynamodb_table {side.target.table}"),
    )


def has_stream(described: dict[str, Any]) -> bool:
    """Whether DescribeTable's ``Table`` has its stream on."""
    return bool((described.get("StreamSpecification") or {}).get("StreamEnabled"))


def _findings(side: Side, view: str | None) -> Iterator[Finding]:
    wanted = side.environment.stream.view_type
    if view == wanted:
        return
    switch_on = side.aws_line(
        "dynamodb",
        "update-table",
        table_name=side.target.table,
        stream_specification={"StreamEnabled": True, "StreamViewType": wanted},
    )
    if view is None:
        yield Finding(what="stream", found="off", expected=f"on, with {wanted}", remedy=switch_on)
        return
    switch_off = side.aws_line(
        "dynamodb",
        "update-table",
        table_name=side.target.table,
        stream_specification={"StreamEnabled": False},
    )
    yield Finding(
        what="view type of the stream",
        found=view,
        expected=wanted,
        remedy=f"{switch_off} && {side.aws_line('dynamodb', 'wait table-exists', table_name=side.target.table)} && "
        f"{switch_on}; this makes another stream: what the old one still holds is lost to the "
        "indexer, its mapping must be made anew on the new one, and a reconciliation with repair must follow",
    )
