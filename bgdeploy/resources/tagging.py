"""The tags of what a stack is made of: told by one call for all of it, where that can be relied on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from bgdeploy.aws import STACK_TAG, Aws, error_code, tag_map
from bgdeploy.provision.resource import Look

Tags = dict[str, str]
# An operator who may not ask for everything at once asks for each.
_FORBIDDEN = {"AccessDenied", "AccessDeniedException", "UnauthorizedException"}


def tags_of(look: Look, arn: str, wanted: Mapping[str, str], ask: Callable[[], Tags]) -> Tags:
    """Return the tags of what has this ARN.

    The Resource Groups Tagging API tells those of the whole stack in one call, but hears of changes late: it is taken
    at its word only where it says what is `wanted`, and never before something is removed. Else `ask` is called.
    """
    told = told_of(look, [arn]).get(arn)
    return told if told is not None and told.items() >= wanted.items() else ask()


def told_of(look: Look, arns: Collection[str]) -> dict[str, Tags]:
    """Return, of what has these ARNs, the tags that one call for the whole stack tells; nothing before a removal."""
    told = _told(look)
    return {arn: told[arn] for arn in arns if arn in told}


def arns_like(look: Look, like: str) -> list[str]:
    """Return the ARNs with `like` in them of what one call for the whole stack tells of; none before a removal."""
    return sorted(arn for arn in _told(look) if like in arn)


def _told(look: Look) -> dict[str, Tags]:
    return {} if look.for_removal else look.once("tags of the stack", lambda: _all(look.aws))


def _all(aws: Aws) -> dict[str, Tags]:
    from botocore.exceptions import ClientError

    pages = aws.client("resourcegroupstaggingapi").get_paginator("get_resources")
    ours = [{"Key": STACK_TAG, "Values": [aws.stack]}]
    try:
        return {
            each["ResourceARN"]: tag_map(each["Tags"])
            for page in pages.paginate(TagFilters=ours)
            for each in page["ResourceTagMappingList"]
        }
    except ClientError as error:
        if error_code(error) not in _FORBIDDEN:
            raise
        return {}
