"""A call in a thread of its own: whoever asks AWS goes on meanwhile, however often botocore has to send it again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def begin(call: Callable[[], T]) -> Future[T]:
    """Return at once what will be what `call` returns or raises.

    Its thread is a daemon, which those of a ThreadPoolExecutor are not: a call that AWS does not answer must not keep
    the program from ending.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, name="background", daemon=True).start()
    return answer
