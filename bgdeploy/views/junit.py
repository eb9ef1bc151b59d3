"""A release as JUnit XML, which CI systems show: one case for the release itself, and one for each check. Pure."""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

from bgdeploy.errors import Exit
from bgdeploy.release.changes import tries_text
from bgdeploy.release.checks import CheckResult, ChecksState, Measurement
from bgdeploy.views.finished import Finished

# What XML 1.0 cannot hold, not even as a reference (its production 2, "Char").
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FAILED = {Exit.ROLLED_BACK, Exit.NEEDS_A_PERSON}


def junit(finished: Finished) -> bytes:
    """Return the report. What is only observed never counts as a failure, what was not run is skipped."""
    ended, checks = finished.ending, finished.checks
    root = Xml.Element("testsuites", name=_clean(f"bgdeploy {ended.version}".strip()))
    suites = [_release(finished)]
    if checks and checks.results:
        suites.append(_suite("checks before the shift", checks))
    if checks and checks.after and checks.after.results:
        suites.append(_suite("checks after the shift", checks.after))
    for suite in suites:
        _count(suite)
        root.append(suite)
    _count(root)
    Xml.indent(root)
    written: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _release(finished: Finished) -> Xml.Element:
    ended, snapshot = finished.ending, finished.snapshot
    suite = _element("testsuite", name="release")
    if snapshot:
        suite.set("timestamp", f"{snapshot.deployment.created:%Y-%m-%dT%H:%M:%S}")
    told = {
        "deployment": ended.deployment,
        "version": ended.version,
        "result": ended.kind.value,
        "exit-status": str(int(ended.exit)),
    }
    suite.append(_properties(told))
    case = _element("testcase", name=f"{ended.version or 'the new version'} goes live", classname="release")
    case.set("time", f"{ended.seconds:.3f}")
    if not ended.good:
        kind = "failure" if ended.exit in _FAILED else "error"
        wrong = _element(kind, message=ended.headline, type=ended.kind.value)
        wrong.text = _clean("\n".join(ended.why))
        case.append(wrong)
    suite.append(case)
    return suite


def _suite(name: str, state: ChecksState) -> Xml.Element:
    suite = _element("testsuite", name=name)
    suite.append(_properties({"stage": state.stage, "run-by": state.owner}))
    suite.extend(_case(result, name) for result in state.results)
    return suite


def _case(result: CheckResult, suite: str) -> Xml.Element:
    case = _element("testcase", name=result.name, classname=suite, time=f"{result.seconds:.3f}")
    case.append(_properties({"kind": result.kind, "mode": "observe" if result.observed else "enforce"}))
    if result.verdict is None:
        begun = result.attempts or not result.got
        case.append(_element("skipped", message="it was not run to its end" if begun else result.got))
    elif result.decisive:
        kind = "failure" if result.verdict == "fail" else "error"
        message = f"wanted {result.wanted}, got {result.got}" if result.wanted else result.got
        wrong = _element(kind, message=message, type=result.verdict)
        wrong.text = _clean(f"{result.request} ({tries_text(result)})")
        case.append(wrong)
    said = _element("system-out")
    said.text = _clean("\n".join(_said(result)))
    case.append(said)
    return case


def _said(result: CheckResult) -> list[str]:
    head = f"{result.request}: {result.verdict or 'no verdict'}, {result.got}"
    return [head, *map(_measurement, result.measurements), *result.output]


def _measurement(one: Measurement) -> str:
    at = f"{one.at:%H:%M:%SZ} " if one.at else ""
    wanted = f"wanted {one.wanted}, " if one.wanted and not one.passed else ""
    values = "".join(f" {name}={value:.6g}" for name, value in one.values.items())
    return f"{at}{one.verdict}: {wanted}got {one.got}{values}"


def _count(suite: Xml.Element) -> None:
    """Note how many cases there are in a suite, what became of them, and how long they took together."""
    cases = list(suite.iter("testcase"))
    suite.set("tests", str(len(cases)))
    for name, child in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(child) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")


def _properties(values: dict[str, str]) -> Xml.Element:
    told = Xml.Element("properties")
    told.extend(_element("property", name=name, value=value) for name, value in values.items())
    return told


def _element(tag: str, **attributes: str) -> Xml.Element:
    return Xml.Element(tag, {name: _clean(value) for name, value in attributes.items()})


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
