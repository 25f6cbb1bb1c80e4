"""Why the indexer's code is not deployed, or not sure to be what was deployed."""

from dynamo_opensearch.core.errors import PassingError, PermanentError

_SIGNED = (
    "the function takes code that a trusted profile has signed, and nothing else. Sign the archive (aws signer "
    "start-signing-job), and name the signed one, in S3, as indexer.package"
)
_ADVICE = {
    "CodeSigningConfigNotFoundException": "the function's code signing configuration is gone: give it another one, or "
    "none (aws lambda delete-function-code-signing-config)",
    "CodeStorageExceededException": "the account's storage for code is full: delete versions that no alias leads to",
    "CodeVerificationFailedException": _SIGNED,
    "InvalidCodeSignatureException": _SIGNED,
    "InvalidParameterValueException": "Lambda cannot take this archive: it has to be readable, of 250 MB unpacked at "
    "most with the function's layers, and in S3 in a bucket of the function's region which the role of this "
    "connection may read (s3:GetObject)",
    "RequestEntityTooLargeException": "put the archive into S3, and name it as s3://bucket/key",
}


class IndexerFunctionMissingError(PermanentError):
    """There is no such function."""

    def __init__(self, function: str) -> None:
        super().__init__(function)
        self.function = function

    def __str__(self) -> str:
        return (
            f"Lambda has no function {self.function!r}. A cutover brings code to a function and does not make one: its "
            "role, memory and network are your Terraform's. Correct indexer.function in the target file, or make it: "
            "the preflight's check indexer_function prints the line. Then clear this task."
        )


class ImageFunctionError(PermanentError):
    """The function runs a container image."""

    def __init__(self, function: str, where: str) -> None:
        super().__init__(function, where)
        self.function, self.where = function, where

    def __str__(self) -> str:
        return (
            f"function {self.function!r} runs a container image, so {self.where!r} cannot be uploaded to it; nothing "
            "was changed. Remove indexer.package from the target file, deploy the image and publish a version by your "
            "own pipeline, and let the alias lead to it: the cutover then takes the alias as it is."
        )


class FunctionBusyError(PassingError):
    """An update of the function goes on for longer than is waited for, or comes in between again and again."""

    def __init__(self, resource: str, seen: str) -> None:
        super().__init__(resource, seen)
        self.resource, self.seen = resource, seen

    def __str__(self) -> str:
        return (
            f"Lambda function {self.resource!r} is being updated: {self.seen}. The task tries again, and goes on from "
            "where it is."
        )


class IndexerMovedError(PermanentError):
    """Somebody else deploys the same function at the same time."""

    def __init__(self, function: str, code_sha256: str, wanted: str) -> None:
        super().__init__(function, code_sha256, wanted)
        self.function, self.code_sha256, self.wanted = function, code_sha256, wanted

    def __str__(self) -> str:
        return (
            f"function {self.function!r} has got other code while this task deployed {self.wanted}: {self.code_sha256} "
            "is there now (CodeSha256), brought by somebody else. No version was published. Look for whoever "
            "deploys it; then clear this task to deploy over it."
        )


class PackageChangedError(PassingError):
    """What Lambda found in S3 is not what was read there."""

    def __init__(self, where: str, expected: str, actual: str) -> None:
        super().__init__(where, expected, actual)
        self.where, self.expected, self.actual = where, expected, actual

    def __str__(self) -> str:
        return (
            f"{self.where!r} was replaced while it was deployed: {self.expected} was read, Lambda got {self.actual}. "
            "No version was published. The task tries again, with what is there then."
        )


class IndexerUpdateFailedError(PermanentError):
    """Lambda took the code, and could not make the function of it."""

    def __init__(self, resource: str, what: str, code: str, reason: str) -> None:
        super().__init__(resource, what, code, reason)
        self.resource, self.what, self.code, self.reason = resource, what, code, reason

    def __str__(self) -> str:
        told = f" ({self.reason.rstrip('.')})" if self.reason else ""
        return (
            f"{self.what} of Lambda function {self.resource!r} is Failed: {self.code or 'no reason'}{told}. The alias "
            "was not moved: what ran before goes on running. Mend that, then clear this task: it uploads the code once "
            "more."
        )


class IndexerRefusedError(PermanentError):
    """Lambda takes the code or the new version for wrong."""

    def __init__(self, function: str, action: str, code: str) -> None:
        super().__init__(function, action, code)
        self.function, self.action, self.code = function, action, code

    def __str__(self) -> str:
        advice = _ADVICE.get(self.code, "look the code up in Lambda's reference of this action")
        return (
            f"Lambda refused {self.action} on function {self.function!r}: {self.code}. The alias was not moved. "
            f"Next: {advice}; then clear this task."
        )


class NothingToServeError(PermanentError):
    """Neither does the target file name a package, nor is there a version that could stay."""

    def __init__(self, function: str, alias: str, problem: str) -> None:
        super().__init__(function, alias, problem)
        self.function, self.alias, self.problem = function, alias, problem

    def __str__(self) -> str:
        return (
            f"the target file has no indexer.package, and {self.problem}; nothing was changed. Set it to what a "
            f"cutover is to deploy; or publish a version and let the alias lead to it: aws lambda publish-version "
            f"--function-name {self.function}; aws lambda create-alias --function-name {self.function} --name "
            f"{self.alias} --function-version <number>; then clear this task."
        )


class IndexerAliasUnnamedError(PermanentError):
    """The target file names no alias, so what is deployed could not be taken back."""

    def __init__(self, function: str) -> None:
        super().__init__(function)
        self.function = function

    def __str__(self) -> str:
        return (
            f"indexer.alias is not in the target file: function {self.function!r} would be invoked as it was deployed "
            "last, and nothing could be taken back. Nothing was changed. Set indexer.alias, such as live: the "
            "cutover makes that alias where it is missing, and the event source mapping has to invoke it."
        )
