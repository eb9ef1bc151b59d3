"""Revisions as they come in a request: checked, completed, and with their text hidden again for GetDeployment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from bgdeploy.sandbox.codedeploy import appspec
from bgdeploy.sandbox.codedeploy.model import Members
from bgdeploy.sandbox.world import RefusedError

_TEXT_MEMBERS = {"AppSpecContent": "appSpecContent", "String": "string"}


def normalised(location: Mapping[str, Any]) -> Members:
    """Return a revision with the hash of its text filled in. Raises RefusedError for one that ECS cannot have.

    `String` is deprecated, but an old page of the user guide shows it for ECS; `GitHub` is for instances only
    (aws-facts 1.2).
    """
    kind = location.get("revisionType")
    if kind == "S3":
        return _in_s3(location)
    if kind not in _TEXT_MEMBERS:
        raise invalid(f"The revision type {kind} is not supported for the ECS compute platform")
    member = _TEXT_MEMBERS[kind]
    body = location.get(member) or {}
    if not body.get("content"):
        raise invalid(f"The revision has no {member} content")
    sha256 = hashlib.sha256(body["content"].encode()).hexdigest()
    if body.get("sha256", sha256) != sha256:
        raise invalid("The sha256 of the revision does not match its content")
    return {"revisionType": kind, member: {"content": body["content"], "sha256": sha256}}


def parsed(location: Mapping[str, Any]) -> appspec.AppSpec | None:
    """Return the AppSpec in a normalised revision, None when it is in S3. Raises RefusedError when it is none."""
    if location["revisionType"] == "S3":
        return None
    try:
        return appspec.parse(location[_TEXT_MEMBERS[location["revisionType"]]]["content"])
    except appspec.AppSpecError as error:
        raise invalid(str(error)) from error


def hidden(location: Mapping[str, Any]) -> Members:
    """Return the revision without its text: GetDeployment never tells it (aws-facts 1.2)."""
    return {
        name: {"sha256": value["sha256"]} if name in _TEXT_MEMBERS.values() else value
        for name, value in location.items()
    }


def invalid(why: str) -> RefusedError:
    """Return the refusal of a revision."""
    return RefusedError("InvalidRevisionException", why)


def _in_s3(location: Mapping[str, Any]) -> Members:
    place = location.get("s3Location") or {}
    if not place.get("bucket") or not place.get("key"):
        raise invalid("The revision's s3Location needs a bucket and a key")
    if place.get("bundleType") not in {"YAML", "JSON"}:
        raise invalid("BundleType must be either YAML or JSON")
    return {"revisionType": "S3", "s3Location": dict(place)}
