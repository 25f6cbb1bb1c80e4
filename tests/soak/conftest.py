"""The servers of the integration tests, for tests that wait for real limits."""

from tests.integration.conftest import (  # noqa: F401 - fixtures
    make_rig,
    ministack_server,
    opensearch_proxy,
    opensearch_server,
)
