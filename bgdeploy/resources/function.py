"""The hook: the Lambda function that CodeDeploy waits for while the checks run."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgdeploy.aws import Attrs, Aws, absent, error_code, retry, wait_until
from bgdeploy.provision.resource import TAGS, Known, Look, Resource, UnusableError
from bgdeploy.resources.existing import ExistingSubnets
from bgdeploy.resources.identity import Role
from bgdeploy.resources.network import Subnet
from bgdeploy.resources.observe import LogGroup
from bgdeploy.resources.security import SecurityGroup

_PLACE = ("SubnetIds", "SecurityGroupIds")
_LONGEST = 900  # seconds that a function may live; the hook's lease fits into it


def archive(folder: Path) -> bytes:
    """Return the folder's Python files as a zip whose bytes depend on their content alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for path in sorted(folder.rglob("*.py")):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            made.writestr(info, path.read_bytes())
    return buffer.getvalue()


@dataclass(frozen=True, eq=False, kw_only=True)
class Function(Resource):
    """A Lambda function made of a folder of the project's."""

    kind = "function"
    taken = frozenset({"ResourceConflictException"})
    folder: Path
    handler: str
    role: Role
    log_group: LogGroup  # made by us, so that it has a retention and goes with the stack
    environment: tuple[tuple[str, str], ...]
    subnets: tuple[Subnet | ExistingSubnets, ...] = ()  # in which it stands; none: in none of ours
    security_group: SecurityGroup | None = None

    def desired(self, known: Known) -> Attrs:
        code = hashlib.sha256(archive(self.folder)).digest()
        return {
            "Handler": self.handler,
            "Runtime": "python3.12",
            "Role": known[self.role]["Arn"],
            "Timeout": _LONGEST,
            "MemorySize": 128,
            "Environment": {"Variables": dict(self.environment)},
            "CodeSha256": base64.b64encode(code).decode(),
            "VpcConfig": self._place(known),
        }

    def _place(self, known: Known) -> Attrs:
        """Return where it stands. Raises UnusableError where it would reach nothing: it has no public address."""
        closed = [subnet.name for subnet in self.subnets if subnet.wants_addresses(known)]
        if closed:
            raise UnusableError(
                f"{', '.join(closed)}: only what has a public address gets out there, which a function never has",
                "name private subnets in network.use.task_subnets, or write checks_from: caller",
            )
        groups = [known[self.security_group]["GroupId"]] if self.security_group else []
        ids = sorted(each for subnet in self.subnets for each in subnet.ids(known))
        return {"SubnetIds": ids, "SecurityGroupIds": groups}

    def find(self, look: Look) -> Attrs | None:
        with absent("ResourceNotFoundException"):
            found = look.aws.client("lambda").get_function(FunctionName=self.name)
            told = found["Configuration"]
            place = {key: sorted((told.get("VpcConfig") or {}).get(key, ())) for key in _PLACE}
            return {**told, "VpcConfig": place, TAGS: found.get("Tags", {})}
        return None

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        client = aws.client("lambda")
        asked = {key: value for key, value in desired.items() if key != "CodeSha256"}

        def make() -> Attrs:
            return dict(
                client.create_function(
                    FunctionName=self.name,
                    Tags=dict(self.tags(aws)),
                    **asked,
                    Code={"ZipFile": archive(self.folder)},
                )
            )

        # A role made a moment ago is not known to Lambda yet (aws-facts 8.3).
        made = retry(aws, make, _role_unknown)
        self._settle(aws)
        return made

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        client = aws.client("lambda")
        settings = {key: value for key, value in changed.items() if key != "CodeSha256"}
        if "CodeSha256" in changed:
            self._change(aws, client.update_function_code, ZipFile=archive(self.folder))
        if settings:
            self._change(aws, client.update_function_configuration, **settings)
        return changed

    def _change(self, aws: Aws, call: Callable[..., Any], **arguments: Any) -> None:
        """Change it when the change before is through, since a second one meanwhile is refused (aws-facts 8.5)."""
        retry(aws, lambda: call(FunctionName=self.name, **arguments), _not_yet)
        self._settle(aws)

    def _settle(self, aws: Aws) -> None:
        """Wait until it can be invoked, with all that was changed."""

        def settled() -> bool:
            found = aws.client("lambda").get_function(FunctionName=self.name)["Configuration"]
            return bool(found["State"] != "Pending" and found.get("LastUpdateStatus") != "InProgress")

        wait_until(aws, settled, 300)

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        aws.client("lambda").tag_resource(Resource=actual["FunctionArn"], Tags=dict(tags))

    def delete(self, aws: Aws, actual: Attrs) -> None:
        with absent("ResourceNotFoundException"):
            aws.client("lambda").delete_function(FunctionName=self.name)


def _role_unknown(error: Exception) -> bool:
    """What a role may do is not known at once either."""
    unknown = ("cannot be assumed", "does not have permissions to call CreateNetworkInterface")
    return error_code(error) == "InvalidParameterValueException" and any(
        each in str(error) for each in unknown
    )


def _not_yet(error: Exception) -> bool:
    return error_code(error) == "ResourceConflictException" or _role_unknown(error)
