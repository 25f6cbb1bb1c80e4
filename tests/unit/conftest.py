"""Property tests judge results, not the speed of a machine that does other things as well; nobody asks STS."""

import pytest
from hypothesis import HealthCheck, settings

from dynamo_opensearch.core.preflight.identity import ActingAs
from dynamo_opensearch.wiring import acting_as

settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


@pytest.fixture(autouse=True)
def known_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run knows whom it acts as."""

    def identity_of(_target: str, environment: str) -> ActingAs:
        return ActingAs(
            account="123456789012",
            caller="arn:aws:sts::123456789012:assumed-role/worker/x",
            region="eu-central-1",
            endpoint="https://search.example.com",
            environment=environment,
            unknown={},
        )

    monkeypatch.setattr(acting_as, "identity_of", identity_of)
