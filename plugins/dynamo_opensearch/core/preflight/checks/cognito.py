"""The user pool that guards the API, and its app client."""

from collections.abc import Iterator
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ResourceMissingError
from dynamo_opensearch.core.preflight.findings import Finding, NotAskedForError
from dynamo_opensearch.core.preflight.lines import compact
from dynamo_opensearch.core.preflight.look import Look, in_terraform
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.environment import CognitoSettings

_KEPT = (
    "UserPoolId",
    "ClientId",
    "ClientName",
    "RefreshTokenValidity",
    "AccessTokenValidity",
    "IdTokenValidity",
    "TokenValidityUnits",
    "ReadAttributes",
    "WriteAttributes",
    "ExplicitAuthFlows",
    "SupportedIdentityProviders",
    "CallbackURLs",
    "LogoutURLs",
    "DefaultRedirectURI",
    "AllowedOAuthFlows",
    "AllowedOAuthScopes",
    "AllowedOAuthFlowsUserPoolClient",
    "AnalyticsConfiguration",
    "PreventUserExistenceErrors",
    "EnableTokenRevocation",
    "EnablePropagateAdditionalUserContextData",
    "AuthSessionValidity",
)
"""What UpdateUserPoolClient takes. It sets all that it is not given back to a default."""

_COMPARED = {
    "explicit_auth_flows": "ExplicitAuthFlows",
    "supported_identity_providers": "SupportedIdentityProviders",
    "allowed_oauth_flows": "AllowedOAuthFlows",
    "allowed_oauth_scopes": "AllowedOAuthScopes",
    "allowed_oauth_flows_user_pool_client": "AllowedOAuthFlowsUserPoolClient",
    "refresh_token_validity": "RefreshTokenValidity",
    "access_token_validity": "AccessTokenValidity",
    "id_token_validity": "IdTokenValidity",
    "prevent_user_existence_errors": "PreventUserExistenceErrors",
    "enable_token_revocation": "EnableTokenRevocation",
}


def look_at_cognito(side: Side) -> Look:
    """Pool and client against the target file.

    Raises:
        NotAskedForError: the target file names no pool.
        AccessDeniedError, ServiceUnavailableError: it cannot be asked.
    """
    settings = side.environment.cognito
    if settings is None:
        raise NotAskedForError(f"environments.{side.name}.cognito is not in the target file")
    pool_id, client_id = settings.user_pool, settings.app_client
    try:
        pool = side.aws.ask("cognito-idp", "describe_user_pool", pool_id, UserPoolId=pool_id)["UserPool"]
    except ResourceMissingError:
        return Look(seen="no such pool", findings=(_missing_pool(side, settings),))
    try:
        # The right to it is one to the pool, which is named where it is refused.
        answer = side.aws.ask(
            "cognito-idp", "describe_user_pool_client", pool_id, UserPoolId=pool_id, ClientId=client_id
        )
    except ResourceMissingError:
        return Look(seen=f"pool {pool_id} without that client", findings=(_missing_client(side, settings),))
    client = answer["UserPoolClient"]
    return Look(
        seen=f"client {client.get('ClientName', client_id)} of pool {pool.get('Name', pool_id)}",
        findings=(*_bound_findings(side, settings, client), *_client_findings(side, settings, client)),
        fields=_fields(pool, client),
        align=in_terraform(f"aws_cognito_user_pool_client {client_id}"),
    )


def _fields(pool: dict[str, Any], client: dict[str, Any]) -> dict[str, Any]:
    """By the names of Terraform's aws_cognito_user_pool_client; of the secret, that there is one."""
    found = {name: client.get(member) for name, member in _COMPARED.items()}
    return {
        **{name: sorted(value) if isinstance(value, list) else value for name, value in found.items()},
        "generate_secret": bool(client.get("ClientSecret")),
        "pool.mfa_configuration": pool.get("MfaConfiguration", "OFF"),
        "pool.password_policy": (pool.get("Policies") or {}).get("PasswordPolicy"),
    }


def _missing_pool(side: Side, settings: CognitoSettings) -> Finding:
    line = side.aws_line("cognito-idp", "list-user-pools", max_results=60)
    return Finding(
        what=f"user pool {settings.user_pool}",
        found="nothing",
        expected="the pool that guards the API",
        remedy=f"{line}; write its Id {side.file_line('cognito.user_pool', '<Id>')}",
    )


def _missing_client(side: Side, settings: CognitoSettings) -> Finding:
    create = side.aws_line(
        "cognito-idp",
        "create-user-pool-client",
        user_pool_id=settings.user_pool,
        client_name=f"{side.target.name}-api",
        **({"explicit_auth_flows": list(settings.flows)} if settings.flows else {}),
        **({"callback_urls": list(settings.callback_urls)} if settings.callback_urls else {}),
    )
    return Finding(
        what=f"app client {settings.app_client}",
        found=f"nothing in pool {settings.user_pool}",
        expected="a client of that pool",
        remedy=f"{create}; write its ClientId {side.file_line('cognito.app_client', '<ClientId>')}",
    )


def _bound_findings(side: Side, settings: CognitoSettings, client: dict[str, Any]) -> Iterator[Finding]:
    pool = client.get("UserPoolId")
    if pool != settings.user_pool:
        yield Finding(
            what=f"pool of app client {settings.app_client}",
            found=str(pool),
            expected=settings.user_pool,
            remedy=side.file_line("cognito.user_pool", pool),
        )


def _client_findings(side: Side, settings: CognitoSettings, client: dict[str, Any]) -> Iterator[Finding]:
    for what, member, wanted in (
        ("authentication flows", "ExplicitAuthFlows", settings.flows),
        ("callback addresses", "CallbackURLs", settings.callback_urls),
    ):
        found = client.get(member) or []
        if lacking := [one for one in wanted if one not in found]:
            yield Finding(
                what=what,
                found=", ".join(found) or "none",
                expected=f"also {', '.join(lacking)}",
                remedy=_update_line(side, client, member, [*found, *lacking]),
            )


def _update_line(side: Side, client: dict[str, Any], member: str, value: list[str]) -> str:
    kept = {name: client[name] for name in _KEPT if client.get(name) not in (None, "", [], {})}
    return side.aws_line("cognito-idp", "update-user-pool-client", cli_input_json=compact({**kept, member: value}))
