"""The checks of a release, asked by the hook itself from inside the VPC, with Python's own library alone.

It knows `get` checks before the shift, and means by them what bgdeploy means. They are asked one after another, each
again until it has a verdict. All that is known is in what the release left in the bucket; times are measured by what
Lambda says is left.
"""

import difflib
import http.client
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

CONNECT_SECONDS = (
    3.0  # a security group drops packets, so being shut out shows as a connection that never comes
)
GLANCE_SECONDS = 0.2
FIRST_PAUSE, LONGEST_PAUSE = 0.3, 2.0  # between two measurements of a check that says nothing of it
WITHIN = 30.0  # for which a check is asked again until it passes
LONGEST_BODY = 2**20
SHORT = 80  # characters of a body that fit beside the rest
MARKUP = re.compile(r"<[^>]*>")
UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

Check = Mapping[str, Any]
Verdicts = list[bool]


@dataclass
class Answer:
    """What came back to one request: a status, or why there is none."""

    status: int | None
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    error: str = ""
    reached: bool = True
    seconds: float = 0.0


def seconds(written: str) -> float:
    """Return how long a written duration or response time is: `1h30m`, `200ms`."""
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|[dhms])", written))


def shown(span: float) -> str:
    return f"{span * 1000:.0f} ms" if span < 1 else f"{span:.3g} s"


# One request


class Door:
    """The test listener, at the private addresses of its load balancer: its name leads to public ones."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.url = str(told["url"]).rstrip("/")
        self.port = int(told["port"])
        self.addresses: list[str] = list(told["addresses"])
        self.host = str(told.get("host", ""))  # whom the certificate is for, "" when nobody knows

    def __call__(self, path: str, timeout: float) -> Answer:
        """Return what the listener answers, at whichever address lets us in."""
        began, answer = time.monotonic(), Answer(None, error="no address of it is known", reached=False)
        for address in self.addresses:
            answer = self._ask(address, path, timeout)
            if answer.reached:
                break
        answer.seconds = time.monotonic() - began
        return answer

    def _ask(self, address: str, path: str, timeout: float) -> Answer:
        try:
            plain = socket.create_connection((address, self.port), min(timeout, CONNECT_SECONDS))
        except OSError as error:
            refused = isinstance(error, ConnectionRefusedError)
            why = "refused" if refused else f"no connection within {min(timeout, CONNECT_SECONDS):g} s"
            return Answer(None, error=f"the connection was not made: {why}", reached=False)
        connection = http.client.HTTPConnection(address, self.port, timeout=timeout)
        try:
            plain.settimeout(timeout)
            connection.sock = self._wrapped(plain)
            headers = {"Host": urlsplit(self.url).netloc, "User-Agent": "bgdeploy-hook"}
            connection.request("GET", path, headers={**headers, "Accept-Encoding": "identity"})
            got = connection.getresponse()
            body = got.read(LONGEST_BODY).decode(got.headers.get_content_charset() or "utf-8", "replace")
            return Answer(got.status, body, {name.lower(): value for name, value in got.getheaders()})
        except ssl.SSLError as error:
            return Answer(None, error=f"its certificate was refused: {error}")
        except TimeoutError:
            return Answer(None, error=f"no whole answer within {timeout:g} s")
        except (OSError, http.client.HTTPException, LookupError):
            return Answer(None, error="the connection was closed without an answer")
        finally:
            connection.close()
            plain.close()

    def _wrapped(self, plain: socket.socket) -> socket.socket:
        if not self.url.startswith("https:"):
            return plain
        trust = ssl.create_default_context()
        trust.check_hostname = bool(self.host)
        return trust.wrap_socket(plain, server_hostname=self.host or urlsplit(self.url).hostname)


# What an answer is worth


def judge(check: Check, answer: Answer) -> tuple[bool, str, str]:
    """Return whether an answer passes; with the first thing that it should be and is not, and what it is instead."""
    if answer.status is None:
        return False, f"status {check['status']}", answer.error
    for wanted, got in expectations(check, answer):
        if got is not None:
            return False, wanted, got
    said = [wanted for wanted, _ in expectations({**check, "below": None}, answer)]
    if check.get("below"):
        said.append(f"{shown(answer.seconds)} <= {shown(seconds(check['below']))}")
    return True, wanted_of(check), ", ".join(said)


def wanted_of(check: Check) -> str:
    """Return everything that a check expects of an answer, in words."""
    return ", ".join(wanted for wanted, _ in expectations(check, Answer(200)))


def expectations(check: Check, answer: Answer) -> Iterator[tuple[str, str | None]]:
    """Yield each thing that an answer must be, with what it is instead; None when it is that."""
    status, body = check["status"], answer.body
    yield f"status {status}", None if answer.status == status else status_instead(answer)
    if check.get("contains") is not None:
        text = check["contains"]
        yield f'body contains "{text}"', None if text in body else excerpt(body, text)
    if check.get("matches") is not None:
        pattern = check["matches"]
        yield f"body matches /{pattern}/", None if re.search(pattern, body) else excerpt(body, pattern)
    for path, value in (check.get("json") or {}).items():
        yield f"body.{path} = {json.dumps(value)}", json_instead(body, path, value)
    for name, value in (check.get("header") or {}).items():
        got = answer.headers.get(name.lower())
        instead = "no such header" if got is None else f'"{got}"'
        yield f'header {name} "{value}"', None if got == value else instead
    if check.get("below"):
        limit = seconds(check["below"])
        slow = answer.seconds > limit
        yield (
            f"an answer within {shown(limit)}",
            f"{shown(answer.seconds)} > {shown(limit)}" if slow else None,
        )


def status_instead(answer: Answer) -> str:
    """Return the status that came, with what the answer says of it."""
    said = MARKUP.sub(" ", answer.body).strip()
    return f"status {answer.status}" + (f": {excerpt(said)}" if said else "")


def json_instead(body: str, path: str, value: Any) -> str | None:
    """Return what stands at `path` ("checks.0.ok") of a JSON body, None when that is `value`."""
    try:
        got = json.loads(body)
    except ValueError:
        return f"no JSON: {excerpt(body)}"
    for step in path.split("."):
        if isinstance(got, Mapping) and step in got:
            got = got[step]
        elif isinstance(got, list) and step.isdecimal() and int(step) < len(got):
            got = got[int(step)]
        else:
            return f"no {path} in {excerpt(body)}"
    return None if same(got, value) else shortened(json.dumps(got, ensure_ascii=False))


def same(got: Any, value: Any) -> bool:
    """Tell whether two JSON values are equal; true is not 1, 1.0 is."""
    if isinstance(got, bool) or isinstance(value, bool):
        return got is value
    if isinstance(got, list) and isinstance(value, list):
        return len(got) == len(value) and all(map(same, got, value))
    if isinstance(got, dict) and isinstance(value, dict):
        return got.keys() == value.keys() and all(same(got[key], value[key]) for key in got)
    return bool(got == value)


def excerpt(body: str, like: str = "") -> str:
    """Return a short piece of a body, quoted: the line that comes nearest to `like`, else how it begins."""
    lines = [" ".join(line.split()) for line in body.splitlines() if line.strip()]
    if not lines:
        return "an empty body"
    # Markup would make every line of a page look a little like every other.
    texts = {MARKUP.sub("", line): line for line in reversed(lines[:500])}
    near = difflib.get_close_matches(MARKUP.sub("", like), texts, n=1, cutoff=0.4) if like else []
    return f'"{shortened(texts[near[0]] if near else " ".join(lines))}"'


def shortened(text: str) -> str:
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"


# Again, until there is a verdict


@dataclass
class Result:
    """What one check has found so far, as whoever follows the deployment reads it."""

    name: str
    request: str
    wanted: str
    verdict: str | None = None
    got: str = ""
    attempts: int = 0
    failures: int = 0
    seconds: float = 0.0
    reached: bool = False
    observed: bool = False
    count: int | None = None


class Pursuit:
    """One check, measured until it has a verdict."""

    def __init__(self, check: Check, door: Door, now: float, *, observe: bool) -> None:
        self.check = check
        self.door = door
        self.began = self.due = now
        self.found: Verdicts = []
        count, streak = check.get("count"), check.get("consecutive_success")
        self.patient = count is None
        self.count = count
        self.streak = (streak or 1) if self.patient else streak
        limit = check.get("failure_limit")
        self.limit = limit if self.patient else limit or 0
        self.within = (seconds(check["within"]) if check.get("within") else WITHIN) if self.patient else None
        self.pause = FIRST_PAUSE if self.patient else 1.0
        self.interval = seconds(check["interval"]) if check.get("interval") else None
        observed = observe or check.get("mode") == "observe"
        path = check.get("get") or "/"
        self.result = Result(
            check["name"], f"GET {door.url}{path}", wanted_of(check), observed=observed, count=count
        )
        foreign = next((kind for kind in ("load", "compare", "command") if check.get(kind)), None)
        if foreign:  # of a release from before the hook ran the checks
            self.result.verdict, self.result.reached = "fail", True
            self.result.wanted, self.result.got = "a get check", f"{foreign}, which the hook does not run"

    def measure(self, now: Callable[[], float]) -> None:
        """Ask once, and count that in."""
        answer = self.door(self.check.get("get") or "/", seconds(self.check.get("timeout") or "5s"))
        passed, wanted, got = judge(self.check, answer)
        self.found.append(passed)
        self.result.wanted, self.result.got = wanted, got
        self.result.attempts, self.result.failures = len(self.found), self.found.count(False)
        self.result.reached = self.result.reached or answer.reached
        self.result.seconds = now() - self.began
        self.result.verdict = self.verdict(now())
        self.due = now() + (self.pause if self.interval is None else self.interval)
        if self.patient:
            self.pause = min(self.pause * 1.5, LONGEST_PAUSE)

    def verdict(self, now: float) -> str | None:
        """Return what the measurements come to, None when that is still open."""
        newest = next((n for n, one in enumerate(reversed(self.found)) if not one), len(self.found))
        if self.limit is not None and self.found.count(False) > self.limit:
            return "fail"
        if self.streak and newest >= self.streak:
            return "pass"
        if self.count is not None and len(self.found) >= self.count:
            return "fail" if self.streak else "pass"
        over = self.within is not None and now - self.began >= self.within
        return "fail" if over else None


class Questions:
    """All checks of one release before the shift."""

    def __init__(
        self, record: Mapping[str, Any], now: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self.now, self.sleep, self.mode = now, sleep, record["mode"]
        before = [check for check in record["checks"] if (check.get("when") or "before") == "before"]
        asked = [] if self.mode == "none" else [check for check in before if not check.get("metric")]
        door = Door(record["door"]) if asked else None
        self.pursuits = [Pursuit(c, door, now(), observe=self.mode == "observe") for c in asked if door]

    def ask(self, save: Callable[[dict[str, Any]], None], enough: Callable[[], bool]) -> str:
        """Ask until all have a verdict or there is no more time, saving what is found; return what it comes to."""
        save(self.told("running"))
        while self.open and not enough():
            due = [each for each in self.open if each.due <= self.now()]
            for pursuit in due:
                pursuit.measure(self.now)
            if due:
                save(self.told("running"))
            else:
                self.sleep(GLANCE_SECONDS)
        stage = self.outcome()
        save(self.told(stage))
        return stage

    @property
    def open(self) -> Sequence[Pursuit]:
        return [each for each in self.pursuits if each.result.verdict is None]

    def outcome(self) -> str:
        """Return what the verdicts come to of the checks that decide anything."""
        if self.mode != "all":
            return "observed" if self.mode == "observe" else "skipped"
        deciding = [each.result for each in self.pursuits if not each.result.observed]
        if all(each.verdict == "pass" for each in deciding):
            return "passed"
        return "failed" if any(each.reached for each in deciding) else "unreachable"

    def told(self, stage: str) -> dict[str, Any]:
        """Return all that is known, for whoever follows the deployment."""
        return {"schema": 1, "stage": stage, "results": [asdict(each.result) for each in self.pursuits]}
