"""Runs one invocation of a Lambda function, in a process of its own. Standard library only.

`python function_boot.py REQUEST ANSWER`: REQUEST is a JSON file with the handler, the event and the context; the answer
is written to ANSWER. Whatever the function prints is its log.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
import traceback
from typing import Any

_FOREVER = 127.0  # seconds after which Linux gives a connection up that nobody answers


class Context:
    """What Lambda gives a handler beside its event."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.function_name = told["function_name"]
        self.function_version = "$LATEST"
        self.invoked_function_arn = told["arn"]
        self.memory_limit_in_mb = str(told["memory"])
        self.aws_request_id = told["request_id"]
        self.log_group_name = told["log_group"]
        self.log_stream_name = told["log_stream"]
        self._speed = float(told["speed"])
        self._ends = time.monotonic() + float(told["timeout"]) / self._speed

    def get_remaining_time_in_millis(self) -> int:
        """Return AWS milliseconds: a handler that measures its waits by them keeps AWS's time."""
        return max(0, int((self._ends - time.monotonic()) * self._speed * 1000))


def confine(network: dict[str, Any]) -> None:
    """Have connections lead where they would from inside a VPC; whatever is let through nowhere is never answered."""
    import socket  # not before: what it imports is called as modules in this file's own folder are

    connect = socket.socket.connect

    def led(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_INET or list(address) == network["gateway"]:
            connect(self, address)
            return
        door = network["doors"].get(f"{address[0]}:{address[1]}")
        if door is not None:
            connect(self, tuple(door))
            return
        patience = self.gettimeout()
        threading.Event().wait(_FOREVER if patience is None else patience)
        raise TimeoutError("timed out")

    setattr(socket.socket, "connect", led)  # noqa: B010 - mypy knows no other way


def answer(told: dict[str, Any]) -> dict[str, Any]:
    """Return what the handler returned, or the error that Lambda would report."""
    module_name, _, function_name = told["handler"].rpartition(".")
    try:
        handler = getattr(importlib.import_module(module_name.replace("/", ".")), function_name)
        return {"payload": json.dumps(handler(told["event"], Context(told)))}
    except BaseException as error:
        traceback.print_exc()
        report = {
            "errorMessage": str(error),
            "errorType": "Runtime.ExitError" if isinstance(error, SystemExit) else type(error).__name__,
            "requestId": told["request_id"],
            "stackTrace": traceback.format_tb(error.__traceback__),
        }
        return {"payload": json.dumps(report), "error": "Unhandled"}


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        told = json.load(file)
    sys.path[0] = told["code"]
    if told["network"]:
        confine(told["network"])
    result = answer(told)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
