"""From a component's name to what the target's file says of it."""

from dynamo_opensearch.core.aws.control_plane import ControlPlane
from dynamo_opensearch.core.services.component import Component
from dynamo_opensearch.core.services.ecs import ECS, EcsComponent
from dynamo_opensearch.core.services.errors import ServiceUnnamedError
from dynamo_opensearch.core.services.health import HealthProbe, health_probe
from dynamo_opensearch.core.services.lambda_alias import LAMBDA_API, LAMBDA_INDEXER, LambdaAliasComponent
from dynamo_opensearch.core.targets.environment import Environment

COMPONENTS = (ECS, LAMBDA_API, LAMBDA_INDEXER)


def choose_component(
    component: str, target: str, environment_name: str, environment: Environment, plane: ControlPlane
) -> Component:
    """The component by its name; asks nothing.

    Raises:
        ServiceUnnamedError: the target's file does not name it.
    """
    if component == LAMBDA_INDEXER:
        indexer = environment.indexer
        if indexer is None:
            raise ServiceUnnamedError(component, target, environment_name, "the file has no indexer")
        if indexer.alias is None:
            problem = (
                f"indexer.alias is not set, so function {indexer.function!r} is invoked as it was deployed last, and "
                "has no previous version; publish versions, and let the event source mapping invoke an alias"
            )
            raise ServiceUnnamedError(component, target, environment_name, problem)
        return LambdaAliasComponent(plane, component, indexer.function, indexer.alias, indexer.event_source_mapping)
    api = environment.api
    kinds = {ECS: "ecs", LAMBDA_API: "lambda"}
    if component not in kinds:
        raise ServiceUnnamedError(component, target, environment_name, f"there are {', '.join(COMPONENTS)}")
    if api is None or api.kind != kinds[component]:
        told = "the file has no api" if api is None else f"its api is of kind {api.kind}"
        raise ServiceUnnamedError(component, target, environment_name, told)
    if component == ECS:
        return EcsComponent(plane, str(api.cluster), str(api.service))
    return LambdaAliasComponent(plane, component, str(api.function), str(api.alias))


def choose_health(component: str, environment: Environment) -> HealthProbe | None:
    """How to ask whether it is well; None where the file names no address for it."""
    url = environment.api.health_url if environment.api is not None else None
    return health_probe(url) if url is not None and component != LAMBDA_INDEXER else None


def check_replay(component: str, target: str, environment_name: str, environment: Environment) -> None:
    """Refuse a replay that nothing would come of.

    Raises:
        ServiceUnnamedError: the component fills no dead-letter queue, or the file names none.
    """
    if component != LAMBDA_INDEXER:
        problem = f"replay is for {LAMBDA_INDEXER} alone: start {target}_dlq_replay by itself"
        raise ServiceUnnamedError(component, target, environment_name, problem)
    if environment.dead_letters is None:
        problem = "replay was asked for, and the file has no dead_letters"
        raise ServiceUnnamedError(component, target, environment_name, problem)
