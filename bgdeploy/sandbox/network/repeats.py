"""EC2's client tokens: a call that is made again, because its answer got lost, does nothing twice."""

from __future__ import annotations

from typing import Any

from bgdeploy.sandbox.world import Call, Deferred, Handler, RefusedError, _Pass

_TOKEN = "ClientToken"


class Repeats:
    """The calls that carried a token, and what was answered."""

    def __init__(self) -> None:
        self._answered: dict[tuple[str, str, str], tuple[dict[str, Any], dict[str, Any]]] = {}

    def once(self, handler: Handler) -> Handler:
        """Return a handler that gives the answer of the first call to a second one with the same token."""

        def answer(call: Call) -> dict[str, Any] | _Pass | Deferred:
            token = call.params.get(_TOKEN)
            asked = {name: value for name, value in call.params.items() if name != _TOKEN}
            without = Call(call.service, call.operation, asked, call.region)
            if not token:
                return handler(without)
            key = call.region, call.operation, token
            if key in self._answered:
                return self._again(key, asked)
            given = handler(without)
            assert isinstance(given, dict)
            self._answered[key] = asked, given
            return given

        return answer

    def _again(self, key: tuple[str, str, str], asked: dict[str, Any]) -> dict[str, Any]:
        before, given = self._answered[key]
        if before != asked:
            message = f"The client token {key[2]} was used for a request with other parameters"
            raise RefusedError("IdempotentParameterMismatch", message)
        return given
