"""Lambda: runs a function's own zip in a process of its own, as slow as the sandbox is fast.

Nothing of the user's environment reaches a function but PATH: it might hold secrets.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import uuid
import zipfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bgdeploy.sandbox.function_network import surroundings, unreachable
from bgdeploy.sandbox.function_states import FunctionStates
from bgdeploy.sandbox.moto_bridge import FunctionCode
from bgdeploy.sandbox.network.model import Interface, interface_id
from bgdeploy.sandbox.world import ACCOUNT, Call, Deferred, Handler, RefusedError, World

_BOOT = Path(__file__).with_name("function_boot.py")
_TAIL = 40  # lines of the log that an outcome carries


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended. `error` is Lambda's word for a failed one, None for one that returned."""

    payload: bytes
    error: str | None
    log: str


@dataclass
class _Invocation:
    """One invocation under way."""

    function: FunctionCode
    region: str
    event: Any
    day: str  # of the log stream's name
    done: Callable[[Outcome], None] | None = None
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))

    @property
    def group(self) -> str:
        return f"/aws/lambda/{self.function.name}"

    @property
    def stream(self) -> str:
        return f"{self.day}/[$LATEST]{self.request_id.replace('-', '')}"


class Functions:
    """Lambda functions that really run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ended: queue.SimpleQueue[tuple[_Invocation, Outcome]] = queue.SimpleQueue()
        self._lines: queue.SimpleQueue[tuple[_Invocation, str]] = queue.SimpleQueue()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._threads: list[threading.Thread] = []
        self._states = FunctionStates(world)

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        return {**self._states.operations, ("lambda", "Invoke"): self._invoke}

    def tick(self) -> None:
        """Write what functions have printed, and tell who waits what has ended."""
        self._write_lines()
        with contextlib.suppress(queue.Empty):
            while True:
                invocation, outcome = self._ended.get_nowait()
                if invocation.done is not None:
                    invocation.done(outcome)

    def close(self) -> None:
        """End what runs, and wait until nobody waits for it any more."""
        for thread in self._threads:
            while thread.is_alive():
                for process in list(self._running):
                    _kill(process)
                thread.join(timeout=0.05)

    def invoke(self, name_or_arn: str, payload: Any, done: Callable[[Outcome], None], region: str) -> None:
        """Run a function; `done` is called from a tick when it has ended. Raises RefusedError when it cannot run."""
        invocation = _Invocation(self._require(name_or_arn, region), region, payload, self._day(), done)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(
            threading.Thread(target=self._run_and_tell, args=(invocation,), name="function", daemon=True)
        )
        self._threads[-1].start()

    def interfaces(self, region: str) -> list[Interface]:
        """Return the network interfaces of the functions that stand in a VPC: one in each of their subnets."""
        return [
            Interface(
                interface_id(function.arn, subnet),
                subnet,
                f"AWS Lambda VPC ENI-{function.name}",
                "AWS Lambda",
                function.security_groups,
                kind="lambda",
            )
            for function in self._world.moto.functions(region)
            for subnet in function.subnets
        ]

    # The API

    def _invoke(self, call: Call) -> dict[str, Any] | Deferred:
        function = self._require(call.params["FunctionName"], call.region)
        kind = call.params.get("InvocationType", "RequestResponse")
        if kind == "DryRun":
            return {"StatusCode": 204}
        try:
            event = json.loads(call.params.get("Payload") or b"{}")
        except ValueError as error:
            raise RefusedError(
                "InvalidRequestContentException", f"Could not parse request body into json: {error}"
            ) from None
        if kind == "Event":
            self.invoke(function.name, event, lambda _outcome: None, call.region)
            return {"StatusCode": 202}
        invocation = _Invocation(function, call.region, event, self._day())
        return Deferred(lambda: self._answer(invocation, tail=call.params.get("LogType") == "Tail"))

    def _answer(self, invocation: _Invocation, *, tail: bool) -> dict[str, Any]:
        outcome = self._run(invocation)
        answer: dict[str, Any] = {
            "StatusCode": 200,
            "ExecutedVersion": "$LATEST",
            "Payload": outcome.payload,
        }
        if outcome.error:
            answer["FunctionError"] = outcome.error
        if tail:
            answer["LogResult"] = base64.b64encode(outcome.log.encode()[-4096:]).decode()
        return answer

    def _day(self) -> str:
        return f"{self._world.clock.now():%Y/%m/%d}"

    def _require(self, name: str, region: str) -> FunctionCode:
        function = self._world.moto.function(name, region)
        if function is None:
            short = name.rpartition(":")[2]
            arn = f"arn:aws:lambda:{region}:{ACCOUNT}:function:{short}"
            raise RefusedError("ResourceNotFoundException", f"Function not found: {arn}", 404)
        self._states.require_active(function.arn, region)
        return function

    # Running: in a thread, without the lock

    def _run_and_tell(self, invocation: _Invocation) -> None:
        self._ended.put((invocation, self._run(invocation)))

    def _run(self, invocation: _Invocation) -> Outcome:
        function, ident = invocation.function, invocation.request_id
        folder = self._world.settings.home / "functions" / f"run-{ident}"
        folder.mkdir(parents=True, exist_ok=True)
        began = self._world.clock.monotonic()
        self._say(invocation, f"START RequestId: {ident} Version: $LATEST")
        try:
            payload, error = self._process(invocation, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        took = (self._world.clock.monotonic() - began) * 1000
        self._say(invocation, f"END RequestId: {ident}")
        self._say(
            invocation,
            f"REPORT RequestId: {ident}\tDuration: {took:.2f} ms\tBilled Duration: {int(took) + 1} ms\t"
            f"Memory Size: {function.memory} MB",
        )
        return Outcome(payload, error, "\n".join(invocation.tail))

    def _process(self, invocation: _Invocation, folder: Path) -> tuple[bytes, str | None]:
        function, request, answer = invocation.function, folder / "request.json", folder / "answer.json"
        request.write_text(json.dumps(self._told(invocation)), encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, str(_BOOT), str(request), str(answer)],
            cwd=self._code(function),
            env=self._environment(invocation),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._running.add(process)
        self._world.reaper.watch(process.pid)
        reading = threading.Thread(target=self._read, args=(invocation, process), daemon=True)
        reading.start()
        try:
            # Python takes longer to start than Lambda: the start is not counted against the function.
            process.wait(timeout=function.timeout / self._world.settings.speed + 1.0)
            timed_out = False
        except subprocess.TimeoutExpired:
            timed_out = True
        _kill(process)
        reading.join(timeout=5)
        self._running.discard(process)
        self._world.reaper.forget(process.pid)
        if timed_out:
            return _failed(
                invocation, "Sandbox.Timedout", f"Task timed out after {function.timeout:.2f} seconds"
            )
        try:
            told = json.loads(answer.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return _failed(
                invocation,
                "Runtime.ExitError",
                f"Runtime exited with error: exit status {process.returncode}",
            )
        return told["payload"].encode(), told.get("error")

    def _told(self, invocation: _Invocation) -> dict[str, Any]:
        function = invocation.function
        return {
            "handler": function.handler,
            "event": invocation.event,
            "function_name": function.name,
            "arn": function.arn,
            "memory": function.memory,
            "timeout": function.timeout,
            "request_id": invocation.request_id,
            "log_group": invocation.group,
            "log_stream": invocation.stream,
            "speed": self._world.settings.speed,
            "code": str(self._code(function)),
            "network": surroundings(self._world, function, invocation.region),
        }

    def _code(self, function: FunctionCode) -> Path:
        """Return the folder with the function's files, unpacked once for each content."""
        folder = self._world.settings.home / "functions" / function.sha
        if not folder.is_dir():
            fresh = folder.with_name(f"{function.sha}-{uuid.uuid4().hex}")
            with zipfile.ZipFile(io.BytesIO(function.code)) as archive:
                archive.extractall(fresh)
            try:
                fresh.rename(folder)
            except OSError:  # another invocation was quicker
                shutil.rmtree(fresh, ignore_errors=True)
        return folder

    def _environment(self, invocation: _Invocation) -> dict[str, str]:
        function, region = invocation.function, invocation.region
        packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self._world.settings.home),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(packages),
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": self._world.endpoint,
            "AWS_ACCESS_KEY_ID": self._world.access_key,
            "AWS_SECRET_ACCESS_KEY": "function",
            "AWS_SESSION_TOKEN": function.role,  # tells the record of calls who calls
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
            "AWS_LAMBDA_LOG_GROUP_NAME": invocation.group,
            "_HANDLER": function.handler,
            **unreachable(self._world, function, invocation.region),
            **function.environment,
        }

    # Logs

    def _read(self, invocation: _Invocation, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                self._say(invocation, line.decode("utf-8", "replace").rstrip("\n"))

    def _say(self, invocation: _Invocation, line: str) -> None:
        invocation.tail.append(line)
        self._lines.put((invocation, line))

    def _write_lines(self) -> None:
        waiting: dict[str, tuple[_Invocation, list[str]]] = {}
        with contextlib.suppress(queue.Empty):
            while True:
                invocation, line = self._lines.get_nowait()
                waiting.setdefault(invocation.request_id, (invocation, []))[1].append(line)
        for invocation, lines in waiting.values():
            self._write(invocation, lines)

    def _write(self, invocation: _Invocation, lines: list[str]) -> None:
        """Write to the function's log what its role allows to be written; the group is made when it is not there."""
        role, allows = invocation.function.role, self._world.roles.allows
        group = f"arn:aws:logs:{invocation.region}:{ACCOUNT}:log-group:{invocation.group}"
        if allows(role, "logs:CreateLogGroup", group):
            moto = self._world.beneath("logs", region=invocation.region)
            with contextlib.suppress(moto.exceptions.ResourceAlreadyExistsException):
                moto.create_log_group(logGroupName=invocation.group)
        stream = f"{group}:log-stream:{invocation.stream}"
        if all(allows(role, f"logs:{action}", stream) for action in ("CreateLogStream", "PutLogEvents")):
            with contextlib.suppress(RefusedError):  # there is no such group
                self._world.logs.write(invocation.group, invocation.stream, lines, invocation.region)


def _failed(invocation: _Invocation, kind: str, text: str) -> tuple[bytes, str]:
    message = f"RequestId: {invocation.request_id} Error: {text}"
    return json.dumps({"errorType": kind, "errorMessage": message}).encode(), "Unhandled"


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
