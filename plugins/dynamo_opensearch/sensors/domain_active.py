"""Waiting for OpenSearch."""

from typing import ClassVar

from dynamo_opensearch.sensors.readiness import ReadinessSensor
from dynamo_opensearch.triggers.domain_active import DomainActiveTrigger
from dynamo_opensearch.triggers.readiness import ReadinessTrigger


class DomainActiveSensor(ReadinessSensor):
    """Wait until the domain is made and not being changed, and OpenSearch answers; returns its version.

    Where the target file names no domain, it is enough that OpenSearch answers through the connection.
    """

    trigger_class: ClassVar[type[ReadinessTrigger]] = DomainActiveTrigger
    advice: ClassVar[str] = "Look at the domain in the console, and at the way to it: docs/runbook.md#reachability."
