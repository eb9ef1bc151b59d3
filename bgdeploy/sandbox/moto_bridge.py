"""moto, as far as the sandbox leans on it: the only module that touches its insides.

moto is pinned, because its insides move with almost every release; `check` says at start what has moved.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from bgdeploy.sandbox.wire import Answer
from bgdeploy.sandbox.world import ACCOUNT

# The managed policies are AWS's real ones and roles attach them; the machine images are of no use here. With the
# account given, moto does not look for its owner among the users of every partition, each with all those policies.
os.environ |= {
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    "MOTO_ACCOUNT_ID": ACCOUNT,
    "MOTO_ACM_VALIDATION_WAIT": "0",  # nobody here has a domain to prove: every certificate is issued
}


_MOVED = "moto has changed inside: install the version that setup.cfg pins"
# The services whose module in moto is not called as botocore calls them.
_MODULES = {"lambda": "awslambda"}


@dataclass(frozen=True)
class FunctionCode:
    """A Lambda function, ready to be run."""

    name: str
    arn: str
    handler: str
    timeout: int  # AWS seconds
    memory: int
    environment: dict[str, str]
    role: str
    code: bytes  # the zip
    sha: str
    subnets: tuple[str, ...] = ()  # of its VPC, when it is in one
    security_groups: tuple[str, ...] = ()


class MotoBridge:
    """moto's WSGI application, and the few things that its API does not tell."""

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app

        self._app = DomainDispatcherApplication(create_backend_app)
        self.check()
        _remember_modules()

    def check(self) -> None:
        """Raise RuntimeError when moto is not built as this module expects."""
        try:
            from moto.backends import get_backend, list_of_moto_modules
            from moto.core.base_backend import BackendDict
            from moto.core.model_instances import reset_model_data
        except ImportError as error:
            raise RuntimeError(f"{_MOVED}: {error}") from error
        callables = (get_backend, list_of_moto_modules, reset_model_data)
        if not all(map(callable, callables)) or not hasattr(BackendDict, "reset"):
            raise RuntimeError(_MOVED)

    def answer(self, environ: dict[str, Any]) -> Answer:
        """Return moto's answer to a WSGI request."""
        said: dict[str, Any] = {}

        def start_response(status: str, headers: Iterable[tuple[str, str]], _exc_info: Any = None) -> None:
            said["status"] = int(status.split()[0])
            said["headers"] = dict(headers)

        chunks = self._app(environ, start_response)
        try:
            body = b"".join(chunks)
        finally:
            getattr(chunks, "close", lambda: None)()
        return Answer(said["status"], body, said["headers"])

    def warm(self, service: str) -> None:
        """Import what moto needs to answer for `service`. Takes no lock: EC2 alone needs over a second."""
        from moto.backends import get_backend

        get_backend(service)
        import_module(f"moto.{_MODULES.get(service, service)}.responses")

    def function(self, name: str, region: str) -> FunctionCode | None:
        """Return a Lambda function by its name or ARN, None when there is none such."""
        from moto.backends import get_backend

        short = name.partition(":function:")[2].partition(":")[0] if name.startswith("arn:") else name
        try:
            found: Any = get_backend("lambda")[ACCOUNT][region].get_function(short)
        except Exception:  # moto raises its own UnknownFunctionException, in different places by version
            return None
        return _function(found)

    def functions(self, region: str) -> list[FunctionCode]:
        """Return the Lambda functions of a region."""
        from moto.backends import get_backend

        return [_function(each) for each in get_backend("lambda")[ACCOUNT][region].list_functions()]

    def has_log_group(self, name: str, region: str) -> bool:
        """Return whether there is a log group of this name."""
        return name in _log_groups(region)

    def forget_log_tags(self, name: str, region: str) -> None:
        """Remove the tags of a log group that goes: moto would give them to the next of its name."""
        groups = _log_groups(region)
        if name in groups:
            _log_tags(region).delete_all_tags_for_resource(groups[name].arn)

    def has_log_stream(self, group: str, stream: str, region: str) -> bool:
        """Return whether there is such a stream in a log group that there is."""
        return stream in _log_groups(region)[group].streams

    def write_log(self, group: str, stream: str, events: list[dict[str, Any]], region: str) -> None:
        """Add events to a stream of a log group that there is, making the stream if need be.

        moto's own PutLogEvents drops what lies two hours ahead of the machine's clock, where AWS's time soon is.
        """
        found = _log_groups(region)[group]
        if stream not in found.streams:
            found.create_log_stream(stream)
        found.put_log_events(stream, events)

    def reset(self) -> None:
        """Forget everything."""
        from moto.backends import get_backend
        from moto.core.base_backend import BackendDict
        from moto.core.model_instances import reset_model_data

        get_backend("iam").clear()  # to be reset, it would read all managed policies, and then be forgotten
        BackendDict.reset()
        reset_model_data()


def _remember_modules() -> None:
    """Have moto look once which services it has; by itself it goes through its folder with every request."""
    from moto import backends

    if not hasattr(backends.list_of_moto_modules, "cache_info"):
        looked = tuple(backends.list_of_moto_modules())
        backends.list_of_moto_modules = cache(lambda: looked)


def _log_groups(region: str) -> Any:
    from moto.backends import get_backend

    backends: Any = get_backend("logs")
    return backends[ACCOUNT][region].groups


def _log_tags(region: str) -> Any:
    from moto.backends import get_backend

    backends: Any = get_backend("logs")
    return backends[ACCOUNT][region].tagger


def _function(found: Any) -> FunctionCode:
    code, place = bytes(found.code_bytes), found.vpc_config or {}
    return FunctionCode(
        name=found.function_name,
        arn=found.function_arn,
        handler=found.handler,
        timeout=int(found.timeout),
        memory=int(found.memory_size),
        environment=dict(found.environment_vars or {}),
        role=found.role,
        code=code,
        sha=hashlib.sha256(code).hexdigest(),
        subnets=tuple(place.get("SubnetIds", ())),
        security_groups=tuple(place.get("SecurityGroupIds", ())),
    )
