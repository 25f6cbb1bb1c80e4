"""The table: keys, types, indexes, billing, expiry, recovery."""

from collections.abc import Iterator
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ResourceMissingError
from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.lines import compact
from dynamo_opensearch.core.preflight.look import Look, in_terraform, shown
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.environment import TableSettings

_READY = ("ACTIVE", "UPDATING")
_FOREVER = "A table keeps its keys for ever"


def look_at_table(side: Side) -> Look:
    """The table against ``key`` and ``table_settings`` of the target file; expiry and recovery where all is asked.

    Raises:
        AccessDeniedError, ServiceUnavailableError: it cannot be asked.
    """
    try:
        described = side.table()
    except ResourceMissingError:
        return Look(seen="no such table", findings=(_missing(side),))
    name = side.target.table
    fields = _fields(described) | (_further_fields(side) if side.asks_all else {})
    settings = side.environment.table_settings or TableSettings()
    return Look(
        seen=f"{name}: {fields['billing_mode']}, key {', '.join(fields['key'])}",
        findings=(
            *_key_findings(side, described, fields),
            *_type_findings(side, settings, fields),
            *_index_findings(side, settings, fields),
            *_setting_findings(side, settings, fields),
        ),
        fields=fields,
        align=in_terraform(f"aws_dynamodb_table {name}"),
    )


def _further_fields(side: Side) -> dict[str, Any]:
    """What DescribeTable does not tell."""
    name = side.target.table
    expiry = side.aws.ask("dynamodb", "describe_time_to_live", name, TableName=name)["TimeToLiveDescription"]
    answer = side.aws.ask("dynamodb", "describe_continuous_backups", name, TableName=name)
    recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    is_expiring = expiry.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    return {
        "ttl.attribute": expiry.get("AttributeName") if is_expiring else None,
        "point_in_time_recovery": recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
    }


def _fields(described: dict[str, Any]) -> dict[str, Any]:
    """By the names of Terraform's aws_dynamodb_table, where it has one."""
    indexes = [
        (kind, index)
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        for index in described.get(kind) or ()
    ]
    return {
        "key": _key(described),
        "attributes": {one["AttributeName"]: one["AttributeType"] for one in described.get("AttributeDefinitions", ())},
        # A table of the provisioned kind says nothing of its mode.
        "billing_mode": described.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "table_class": described.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
        "deletion_protection_enabled": bool(described.get("DeletionProtectionEnabled", False)),
        "server_side_encryption": described.get("SSEDescription", {}).get("SSEType", "AWS_OWNED"),
        "indexes": {index["IndexName"]: _key(index) for _, index in indexes},
        "projections": {
            index["IndexName"]: index.get("Projection", {}).get("ProjectionType", "ALL") for _, index in indexes
        },
    }


def _key(described: dict[str, Any]) -> list[str]:
    roles = {part["KeyType"]: part["AttributeName"] for part in described["KeySchema"]}
    return [roles[role] for role in ("HASH", "RANGE") if role in roles]


def _missing(side: Side) -> Finding:
    key = side.target.key
    types = (side.environment.table_settings or TableSettings()).attributes
    roles = zip(key, ("HASH", "RANGE"), strict=False)
    view = side.environment.stream.view_type
    return Finding(
        what=f"table {side.target.table}",
        found="nothing",
        expected=f"a table with the key {', '.join(key)}",
        remedy=side.aws_line(
            "dynamodb",
            "create-table",
            table_name=side.target.table,
            attribute_definitions=[{"AttributeName": one, "AttributeType": types.get(one, "S")} for one in key],
            key_schema=[{"AttributeName": one, "KeyType": role} for one, role in roles],
            billing_mode=(side.environment.table_settings or TableSettings()).billing_mode or "PAY_PER_REQUEST",
            stream_specification={"StreamEnabled": True, "StreamViewType": view},
        ),
    )


def _key_findings(side: Side, described: dict[str, Any], fields: dict[str, Any]) -> Iterator[Finding]:
    if described.get("TableStatus") not in _READY:
        yield Finding(
            what="status",
            found=str(described.get("TableStatus")),
            expected="ACTIVE",
            remedy=side.aws_line("dynamodb", "wait table-exists", table_name=side.target.table),
        )
    if fields["key"] != list(side.target.key):
        yield Finding(
            what="key",
            found=", ".join(fields["key"]),
            expected=", ".join(side.target.key),
            remedy=f"{_FOREVER}; in the target file of {side.target.name}: key: {compact(fields['key'])}",
        )


def _type_findings(side: Side, settings: TableSettings, fields: dict[str, Any]) -> Iterator[Finding]:
    """Only of attributes that are part of a key: a table knows no others."""
    keys = {*fields["key"], *(one for key in fields["indexes"].values() for one in key)}
    for attribute, kind in settings.attributes.items():
        found = fields["attributes"].get(attribute)
        if attribute in keys and found != kind:
            yield Finding(
                what=f"type of attribute {attribute}",
                found=shown(found),
                expected=kind,
                remedy=f"{_FOREVER}; {side.file_line(f'table_settings.attributes.{attribute}', found)}",
            )


def _index_findings(side: Side, settings: TableSettings, fields: dict[str, Any]) -> Iterator[Finding]:
    for index, key in settings.indexes.items():
        found = fields["indexes"].get(index)
        if found == list(key):
            continue
        yield Finding(
            what=f"index {index}",
            found="nothing" if found is None else f"key {', '.join(found)}",
            expected=f"key {', '.join(key)}",
            remedy=_index_line(side, settings, index, is_there=found is not None),
        )


def _index_line(side: Side, settings: TableSettings, index: str, *, is_there: bool) -> str:
    key = settings.indexes[index]
    if is_there:
        update: dict[str, Any] = {"Delete": {"IndexName": index}}
        line = side.aws_line(
            "dynamodb", "update-table", table_name=side.target.table, global_secondary_index_updates=[update]
        )
        return f"{line}; this check then has the line that makes it anew"
    roles = zip(key, ("HASH", "RANGE"), strict=False)
    schema = [{"AttributeName": attribute, "KeyType": role} for attribute, role in roles]
    update = {"Create": {"IndexName": index, "KeySchema": schema, "Projection": {"ProjectionType": "ALL"}}}
    return side.aws_line(
        "dynamodb",
        "update-table",
        table_name=side.target.table,
        attribute_definitions=[
            {"AttributeName": one, "AttributeType": settings.attributes.get(one, "S")} for one in key
        ],
        global_secondary_index_updates=[update],
    )


def _setting_findings(side: Side, settings: TableSettings, fields: dict[str, Any]) -> Iterator[Finding]:
    table, recovery, attribute = side.target.table, settings.point_in_time_recovery, settings.ttl_attribute
    if settings.billing_mode is not None and fields["billing_mode"] != settings.billing_mode:
        yield Finding(
            what="billing mode",
            found=fields["billing_mode"],
            expected=settings.billing_mode,
            remedy=side.aws_line("dynamodb", "update-table", table_name=table, billing_mode=settings.billing_mode),
        )
    if attribute is not None and fields.get("ttl.attribute", attribute) != attribute:
        yield Finding(
            what="attribute by which items expire",
            found=shown(fields["ttl.attribute"]),
            expected=attribute,
            remedy=side.aws_line(
                "dynamodb",
                "update-time-to-live",
                table_name=table,
                time_to_live_specification={"Enabled": True, "AttributeName": attribute},
            ),
        )
    if recovery is not None and fields.get("point_in_time_recovery", recovery) != recovery:
        yield Finding(
            what="point-in-time recovery",
            found="on" if fields["point_in_time_recovery"] else "off",
            expected="on" if recovery else "off",
            remedy=side.aws_line(
                "dynamodb",
                "update-continuous-backups",
                table_name=table,
                point_in_time_recovery_specification={"PointInTimeRecoveryEnabled": recovery},
            ),
        )
