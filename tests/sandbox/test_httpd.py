"""The web server of the sandbox's containers, as a task runs it."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from bgdeploy.clock import SystemClock

_CONTAINER = Path(__file__).parents[2] / "container"
_REPOSITORY = str(Path(__file__).parents[2])


class Site:
    """A web server that runs, and what it logs."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.port = port

    def get(self, *paths: str) -> list[tuple[int, str]]:
        """Return status and text of each path, asked for over one connection as far as the server keeps it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        answers = []
        for path in paths:
            connection.request("GET", path)
            answer = connection.getresponse()
            answers.append((answer.status, answer.read().decode()))
        connection.close()
        return answers

    def end(self) -> tuple[int, str]:
        """Ask it to end as ECS does; return its exit status and its log."""
        self._process.terminate()
        log, _ = self._process.communicate(timeout=10)
        return self._process.returncode, log


class Start(Protocol):
    """Starts the server over a folder with htdocs, on the machine's own Apache when `apache`."""

    def __call__(self, *words: str, apache: bool = False) -> Site: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Sites over the starter's pages, ended after the test."""
    shutil.copytree(_CONTAINER, tmp_path / "root")
    (tmp_path / "root/conf").mkdir()
    (tmp_path / "root/httpd.conf").rename(tmp_path / "root/conf/httpd.conf")
    (tmp_path / "root/htdocs/sub").mkdir()
    started: list[subprocess.Popen[str]] = []

    def run(*words: str, apache: bool = False) -> Site:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        path = os.environ["PATH"] if apache else str(tmp_path)
        environment = {"PORT": str(port), "HOST": "127.0.0.1", "PATH": path, "PYTHONPATH": _REPOSITORY}
        process = subprocess.Popen(
            [sys.executable, "-m", "bgdeploy.sandbox.httpd", *words],
            cwd=tmp_path / "root",
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        _await(port)
        return Site(process, port)

    yield run
    for process in started:
        process.kill()
        process.communicate()


def _await(port: int) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + 20
    while clock.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        clock.sleep(0.05)
    raise AssertionError("the server did not come up")


def test_it_serves_the_images_pages_over_one_connection(start: Start) -> None:
    answers = start().get("/", "/index.html?q=1", "/")
    assert [status for status, _ in answers] == [200, 200, 200]
    assert all("Hello from {version}" in text for _, text in answers)


def test_every_request_is_a_line_in_the_common_log_format(start: Start) -> None:
    site = start()
    site.get("/", "/missing?a=b")
    _, log = site.end()
    begin = r"^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "
    first, second = log.splitlines()[-2:]
    assert re.match(begin + r'"GET / HTTP/1\.1" 200 (\d+|-)$', first)
    assert re.match(begin + r'"GET /missing\?a=b HTTP/1\.1" 404 (\d+|-)$', second)


def test_a_fallback_page_answers_for_every_page_that_is_not_there(start: Start) -> None:
    site = start("-c", "Listen 8080", "-c", "FallbackResource /index.html")
    assert [status for status, _ in site.get("/missing", "/deep/er")] == [200, 200]


def test_a_folder_is_not_listed_and_nothing_outside_the_pages_is_served(start: Start) -> None:
    site = start()
    assert [site.get(path)[0][0] for path in ("/sub/", "/../conf/httpd.conf", "/%2e%2e/conf/httpd.conf")] == [
        403,
        404,
        404,
    ]


def test_it_ends_when_told_to(start: Start) -> None:
    status, _ = start().end()
    assert status == 0


@pytest.mark.skipif(
    not (shutil.which("httpd") or shutil.which("apache2")) or os.geteuid() == 0,
    reason="needs an Apache on the PATH, and not to be root",
)
def test_apache_serves_the_same_pages_by_the_same_conf(start: Start) -> None:
    site = start(apache=True)
    (status, text), (missing, _) = site.get("/", "/missing")
    assert (status, missing) == (200, 404)
    assert "Hello from {version}" in text
    assert '"GET /missing HTTP/1.1" 404' in site.end()[1]
