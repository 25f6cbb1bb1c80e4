"""One Lambda function in memory: its code, versions and aliases, and updates that take some looks to end."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Callable
from typing import Any

from tests.support.scripted_aws import Answer, RefusalError, ScriptedAws

FUNCTION, ALIAS = "indexer", "live"
ARN = f"arn:aws:lambda:eu-central-1:111122223333:function:{FUNCTION}"


def archive(text: str) -> bytes:
    """A zip; another text makes another one."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        file.writestr(zipfile.ZipInfo("handler.py"), text)
    return written.getvalue()


def digest(content: bytes) -> str:
    """As Lambda's CodeSha256."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


class ScriptedFunction:
    """``looks``: how many an update takes to end; ``ends``: what it ends as. ``in_s3``: by bucket and key.

    ``refusals``: codes by operation; ``interludes``: what somebody else does just before an operation, once.
    """

    def __init__(self, aws: ScriptedAws, code: bytes = b"") -> None:
        self.aws = aws
        self.looks, self.ends = 0, "Successful"
        self.in_s3: dict[tuple[str, str], bytes] = {}
        self.refusals: dict[str, str] = {}
        self.interludes: dict[str, Callable[[], Any]] = {}
        self.versions: dict[str, Answer] = {}
        self.aliases: dict[str, Answer] = {}
        self.revisions = 0
        self._published: str | None = None
        self.config: Answer = {
            "FunctionName": FUNCTION,
            "FunctionArn": ARN,
            "Runtime": "python3.13",
            "Handler": "handler.handler",
            "MemorySize": 512,
            "Timeout": 60,
            "Environment": {"Variables": {"DYNAMO_OPENSEARCH_URL": "https://search.example.com", "SECRET": "hush"}},
            "PackageType": "Zip",
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "Version": "$LATEST",
        }
        self.bring(code or archive("first"))
        self.aws.scripts |= {f"lambda.{name}": self._guarded(name) for name in self._operations}

    @property
    def _operations(self) -> dict[str, Callable[[Answer], Answer]]:
        return {
            "GetFunctionConfiguration": self._configuration,
            "UpdateFunctionCode": self._update,
            "PublishVersion": self._publish,
            "ListVersionsByFunction": self._list,
            "GetAlias": self._get_alias,
            "CreateAlias": self._create_alias,
            "UpdateAlias": self._update_alias,
        }

    def bring(self, code: bytes) -> None:
        """Somebody deploys."""
        self.config["CodeSha256"] = digest(code)
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Somebody changes the configuration."""
        self.revisions += 1
        self.config |= {"RevisionId": f"r{self.revisions}", **changes}

    def publish(self) -> str:
        """Somebody publishes a version."""
        return str(self._publish({})["Version"])

    def lead(self, version: str, alias: str = ALIAS, **weights: float) -> None:
        """Somebody moves an alias, or makes it."""
        routing = {"AdditionalVersionWeights": {one.strip("v"): share for one, share in weights.items()}}
        self.revisions += 1
        self.aliases[alias] = {
            "Name": alias,
            "FunctionVersion": version,
            "RevisionId": f"r{self.revisions}",
            **({"RoutingConfig": routing} if weights else {}),
        }

    def _guarded(self, name: str) -> Callable[[Answer], Answer]:
        def answer(asked: Answer) -> Answer:
            self.interludes.pop(name, lambda: None)()
            if name in self.refusals:
                raise RefusalError(self.refusals[name])
            assert asked["FunctionName"] == FUNCTION
            return self._operations[name](asked)

        return answer

    def _configuration(self, asked: Answer) -> Answer:
        version = asked.get("Qualifier")
        if version is not None:
            if version not in self.versions:
                raise RefusalError("ResourceNotFoundException", 404)
            return dict(self.versions[version])
        found = dict(self.config)
        if self.config["LastUpdateStatus"] == "InProgress":
            self.looks -= 1
            if self.looks <= 0:
                self.configure(LastUpdateStatus=self.ends)
        return found

    def _update(self, asked: Answer) -> Answer:
        if self.config["LastUpdateStatus"] == "InProgress":
            raise RefusalError("ResourceConflictException", 409)
        if asked["RevisionId"] != self.config["RevisionId"]:
            raise RefusalError("PreconditionFailedException", 412)
        code = asked.get("ZipFile")
        if code is None:
            place = asked["S3Bucket"], asked["S3Key"]
            if place not in self.in_s3:
                raise RefusalError("InvalidParameterValueException")
            code = self.in_s3[place]
        self.bring(code)
        if self.looks or self.ends != "Successful":
            self.config["LastUpdateStatus"] = "InProgress"
        return dict(self.config)

    def _publish(self, asked: Answer) -> Answer:
        if asked.get("CodeSha256", self.config["CodeSha256"]) != self.config["CodeSha256"]:
            raise RefusalError("InvalidParameterValueException")
        if self._published != self.config["RevisionId"]:
            number = str(len(self.versions) + 1)
            self.versions[number] = {**self.config, "Version": number, "FunctionArn": f"{ARN}:{number}"}
            self._published = self.config["RevisionId"]
        return dict(self.versions[str(len(self.versions))])

    def _list(self, asked: Answer) -> Answer:
        return {"Versions": [{"Version": "$LATEST"}, *({"Version": one} for one in self.versions)]}

    def _get_alias(self, asked: Answer) -> Answer:
        if asked["Name"] not in self.aliases:
            raise RefusalError("ResourceNotFoundException", 404)
        return dict(self.aliases[asked["Name"]])

    def _create_alias(self, asked: Answer) -> Answer:
        if asked["Name"] in self.aliases:
            raise RefusalError("ResourceConflictException", 409)
        self.lead(asked["FunctionVersion"], asked["Name"])
        return dict(self.aliases[asked["Name"]])

    def _update_alias(self, asked: Answer) -> Answer:
        alias = self._get_alias(asked)
        if asked["RevisionId"] != alias["RevisionId"]:
            raise RefusalError("PreconditionFailedException", 412)
        weights = {f"v{one}": share for one, share in asked["RoutingConfig"]["AdditionalVersionWeights"].items()}
        self.lead(asked["FunctionVersion"], asked["Name"], **weights)
        return dict(self.aliases[asked["Name"]])
