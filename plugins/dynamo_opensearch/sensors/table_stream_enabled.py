"""Waiting for a table's stream."""

from typing import ClassVar

from dynamo_opensearch.sensors.readiness import ReadinessSensor
from dynamo_opensearch.triggers.readiness import ReadinessTrigger
from dynamo_opensearch.triggers.table_stream_enabled import TableStreamEnabledTrigger


class TableStreamEnabledSensor(ReadinessSensor):
    """Wait until the target's table has its stream ENABLED, with the view type of the target file; returns its ARN."""

    trigger_class: ClassVar[type[ReadinessTrigger]] = TableStreamEnabledTrigger
    advice: ClassVar[str] = (
        "DynamoDB switches a stream on within seconds: look whether somebody has switched it off, and at the table in "
        "the console."
    )
