"""The tags of everything in one answer: what moto knows of, and what the sandbox keeps itself or moto leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bgdeploy.sandbox.world import Call, RefusedError

if TYPE_CHECKING:
    from bgdeploy.sandbox.world import Handler, World

Tags = dict[str, str]
_DESCRIBED = 20  # ARNs that DescribeTags of ELBv2 takes at a time
_PAGE = 100  # resources on a page, unless asked for fewer


class Tagging:
    """The Resource Groups Tagging API, as far as it reads."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        return {("resourcegroupstaggingapi", "GetResources"): self._get_resources}

    def tick(self) -> None:
        """Nothing here becomes due."""

    def close(self) -> None:
        """Nothing here runs."""

    def _get_resources(self, call: Call) -> dict[str, Any]:
        params = call.params
        found = sorted(
            (arn, tags)
            for arn, tags in dict(self._tagged(call.region)).items()
            if _asked_for(arn, tags, params)
        )
        token = params.get("PaginationToken") or "0"
        if not token.isdecimal():
            raise RefusedError("PaginationTokenExpiredException", "Token does not exist")
        size = int(params.get("ResourcesPerPage") or _PAGE)
        first, rest = int(token), int(token) + size
        return {
            "ResourceTagMappingList": [
                {"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
                for arn, tags in found[first:rest]
            ],
            "PaginationToken": str(rest) if rest < len(found) else "",
        }

    def _tagged(self, region: str) -> Iterator[tuple[str, Tags]]:
        beneath = self._world.beneath("resourcegroupstaggingapi", region=region)
        for page in beneath.get_paginator("get_resources").paginate():
            for each in page["ResourceTagMappingList"]:
                yield each["ResourceARN"], _plain(each["Tags"])
        for part in (self._alarms, self._repositories, self._listeners):
            yield from part(region)
        yield from self._world.ecs.tags(region).items()
        yield from self._world.codedeploy.tags(region).items()

    def _alarms(self, region: str) -> Iterator[tuple[str, Tags]]:
        cloudwatch = self._world.beneath("cloudwatch", region=region)
        for page in cloudwatch.get_paginator("describe_alarms").paginate():
            for arn in (each["AlarmArn"] for each in page["MetricAlarms"]):
                yield arn, _plain(cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"])

    def _repositories(self, region: str) -> Iterator[tuple[str, Tags]]:
        ecr = self._world.beneath("ecr", region=region)
        for arn in (each["repositoryArn"] for each in ecr.describe_repositories()["repositories"]):
            yield arn, _plain(ecr.list_tags_for_resource(resourceArn=arn)["tags"])

    def _listeners(self, region: str) -> Iterator[tuple[str, Tags]]:
        elb = self._world.beneath("elbv2", region=region)
        for balancer in elb.describe_load_balancers()["LoadBalancers"]:
            listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
            arns = [each["ListenerArn"] for each in listeners]
            for n in range(0, len(arns), _DESCRIBED):
                for each in elb.describe_tags(ResourceArns=arns[n : n + _DESCRIBED])["TagDescriptions"]:
                    yield each["ResourceArn"], _plain(each["Tags"])


def _plain(pairs: list[dict[str, str]]) -> Tags:
    lowered = ({word.lower(): text for word, text in pair.items()} for pair in pairs)
    return {pair["key"]: pair["value"] for pair in lowered}


def _asked_for(arn: str, tags: Tags, params: Mapping[str, Any]) -> bool:
    """Every filter must hold: a filter without values asks only for the key."""
    kinds = params.get("ResourceTypeFilters") or []
    wanted = params.get("ResourceARNList") or []
    service = arn.split(":")[2]
    return (
        bool(tags)
        and (not wanted or arn in wanted)
        and (not kinds or any(kind.partition(":")[0] == service for kind in kinds))
        and all(
            each["Key"] in tags and (not each.get("Values") or tags[each["Key"]] in each["Values"])
            for each in params.get("TagFilters") or []
        )
    )
