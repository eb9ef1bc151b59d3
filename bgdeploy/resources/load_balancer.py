"""The load balancer, its listeners production and test, and the pair of target groups that traffic moves between."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bgdeploy.aws import ADDRESS_TAG, Attrs, Aws, absent, tag_list, tag_map, wait_until
from bgdeploy.provision.resource import TAGS, Known, Look, Remains, Resource
from bgdeploy.resources.network import Subnet, Vpc
from bgdeploy.resources.security import SecurityGroup

_DELAY = "deregistration_delay.timeout_seconds"


def _tags_of(look: Look, arns: list[str]) -> dict[str, dict[str, str]]:
    """Return the tags of load balancers, target groups or listeners, twenty at a time as the API has it."""
    elbv2 = look.aws.client("elbv2")
    described = [
        elbv2.describe_tags(ResourceArns=arns[n : n + 20])["TagDescriptions"] for n in range(0, len(arns), 20)
    ]
    return {each["ResourceArn"]: tag_map(each["Tags"]) for batch in described for each in batch}


def _retag(aws: Aws, arn: str, tags: Mapping[str, str]) -> None:
    aws.client("elbv2").add_tags(ResourceArns=[arn], Tags=tag_list(tags))


def _balancer(look: Look, name: str) -> Attrs | None:
    def ask() -> Attrs | None:
        with absent("LoadBalancerNotFound"):
            found = dict(look.aws.client("elbv2").describe_load_balancers(Names=[name])["LoadBalancers"][0])
            return {**found, TAGS: _tags_of(look, [found["LoadBalancerArn"]])[found["LoadBalancerArn"]]}
        return None

    return look.once(("load balancer", name), ask)


@dataclass(frozen=True, eq=False, kw_only=True)
class LoadBalancer(Resource):
    """An application load balancer that faces the internet."""

    kind = "load-balancer"
    taken = frozenset({"DuplicateLoadBalancerName"})
    immutable = frozenset({"Scheme", "Type"})
    subnets: tuple[Subnet, ...]
    security_group: SecurityGroup

    def desired(self, known: Known) -> Attrs:
        return {
            "Scheme": "internet-facing",
            "Type": "application",
            "Subnets": {known[subnet]["SubnetId"] for subnet in self.subnets},
            "SecurityGroups": {known[self.security_group]["GroupId"]},
        }

    def find(self, look: Look) -> Attrs | None:
        found = _balancer(look, self.name)
        return found and {**found, "Subnets": {zone["SubnetId"] for zone in found["AvailabilityZones"]}}

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        asked = {
            **desired,
            "Subnets": sorted(desired["Subnets"]),
            "SecurityGroups": sorted(desired["SecurityGroups"]),
        }
        made = aws.client("elbv2").create_load_balancer(
            Name=self.name, Tags=tag_list(self.tags(aws)), **asked
        )
        return dict(made["LoadBalancers"][0])

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        elbv2, arn = aws.client("elbv2"), actual["LoadBalancerArn"]
        if "Subnets" in changed:
            elbv2.set_subnets(LoadBalancerArn=arn, Subnets=sorted(changed["Subnets"]))
        if "SecurityGroups" in changed:
            elbv2.set_security_groups(LoadBalancerArn=arn, SecurityGroups=sorted(changed["SecurityGroups"]))
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        _retag(aws, actual["LoadBalancerArn"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        """Remove it and its listeners, and wait until it is gone: its target groups are in use until then."""
        elbv2, arn = aws.client("elbv2"), actual["LoadBalancerArn"]
        with absent("LoadBalancerNotFound"):
            elbv2.delete_load_balancer(LoadBalancerArn=arn)

        def gone() -> bool:
            with absent("LoadBalancerNotFound"):
                return not elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
            return True

        wait_until(aws, gone, 600)


@dataclass(frozen=True, eq=False, kw_only=True)
class TargetGroup(Resource):
    """One side, blue or green, of the pair that CodeDeploy moves traffic between."""

    kind = "target-group"
    taken = frozenset({"DuplicateTargetGroupName"})
    immutable = frozenset({"VpcId", "TargetType", "Protocol", "Port"})
    vpc: Vpc
    port: int
    health: Any  # config.HealthCheck
    deregistration_delay: int

    def desired(self, known: Known) -> Attrs:
        return {
            "VpcId": known[self.vpc]["VpcId"],
            "TargetType": "ip",
            "Protocol": "HTTP",
            "Port": self.port,
            "HealthCheckPath": self.health.path,
            "HealthCheckIntervalSeconds": int(self.health.interval),
            "HealthCheckTimeoutSeconds": int(self.health.timeout),
            "HealthyThresholdCount": self.health.healthy,
            "UnhealthyThresholdCount": self.health.unhealthy,
            _DELAY: str(int(self.deregistration_delay)),
        }

    def find(self, look: Look) -> Attrs | None:
        with absent("TargetGroupNotFound"):
            elbv2 = look.aws.client("elbv2")
            found = elbv2.describe_target_groups(Names=[self.name])["TargetGroups"][0]
            arn = found["TargetGroupArn"]
            attributes = elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
            delay = next((each["Value"] for each in attributes if each["Key"] == _DELAY), None)
            return {**found, _DELAY: delay, TAGS: _tags_of(look, [arn])[arn]}
        return None

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        asked = {key: value for key, value in desired.items() if key != _DELAY}
        made = aws.client("elbv2").create_target_group(Name=self.name, Tags=tag_list(self.tags(aws)), **asked)
        actual = dict(made["TargetGroups"][0])
        return {**actual, **self.update(aws, actual, {_DELAY: desired[_DELAY]})}

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        elbv2, arn = aws.client("elbv2"), actual["TargetGroupArn"]
        checks = {key: value for key, value in changed.items() if key != _DELAY}
        if checks:
            elbv2.modify_target_group(TargetGroupArn=arn, **checks)
        if _DELAY in changed:
            attributes = [{"Key": _DELAY, "Value": changed[_DELAY]}]
            elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=attributes)
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        _retag(aws, actual["TargetGroupArn"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        with absent("TargetGroupNotFound"):
            aws.client("elbv2").delete_target_group(TargetGroupArn=actual["TargetGroupArn"])


@dataclass(frozen=True, eq=False, kw_only=True)
class Listener(Resource):
    """One of the two doors. It only forwards, to both target groups, by weights that are CodeDeploy's to move."""

    kind = "listener"
    taken = frozenset({"DuplicateListener"})
    immutable = frozenset({"Protocol", "LoadBalancerArn"})
    # CodeDeploy rewrites them with every deployment (aws-facts 7.2): comparing them would send production back.
    create_only = frozenset({"DefaultActions"})
    balancer: LoadBalancer
    port: int
    blue: TargetGroup
    green: TargetGroup

    def desired(self, known: Known) -> Attrs:
        weights = {self.blue: 100, self.green: 0}
        groups = [
            {"TargetGroupArn": known[g]["TargetGroupArn"], "Weight": weight} for g, weight in weights.items()
        ]
        return {
            "LoadBalancerArn": known[self.balancer]["LoadBalancerArn"],
            "Protocol": "HTTP",
            "Port": self.port,
            "DefaultActions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}],
        }

    def find(self, look: Look) -> Attrs | None:
        balancer = _balancer(look, self.balancer.name)
        if balancer is None:
            return None
        mine = (
            each
            for each in _listeners(look, balancer["LoadBalancerArn"])
            if each[TAGS].get(ADDRESS_TAG) == self.address or each["Port"] == self.port
        )
        return next(mine, None)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        made = aws.client("elbv2").create_listener(Tags=tag_list(self.tags(aws)), **desired)
        return dict(made["Listeners"][0])

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        aws.client("elbv2").modify_listener(ListenerArn=actual["ListenerArn"], **changed)
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        _retag(aws, actual["ListenerArn"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        _delete_listener(aws, actual)

    def forgotten(self, look: Look, declared: Collection[Resource]) -> list[Remains]:
        """The listeners of ours on the same load balancer that nobody declares."""
        balancer = _balancer(look, self.balancer.name)
        addresses = {each.address for each in declared}
        return [
            Remains(
                name=f"{self.balancer.name}:{each['Port']}",
                was=each[TAGS][ADDRESS_TAG],
                actual=each,
                remove=_delete_listener,
            )
            for each in (_listeners(look, balancer["LoadBalancerArn"]) if balancer else [])
            if look.aws.owns(each[TAGS]) and each[TAGS].get(ADDRESS_TAG) not in addresses
        ]


def _listeners(look: Look, balancer: str) -> list[Attrs]:
    """Return the listeners of a load balancer with their tags."""

    def ask() -> list[Attrs]:
        found = look.aws.client("elbv2").describe_listeners(LoadBalancerArn=balancer)["Listeners"]
        tags = _tags_of(look, [each["ListenerArn"] for each in found]) if found else {}
        return [{**each, TAGS: tags[each["ListenerArn"]]} for each in found]

    return look.once(("listeners", balancer), ask)


def _delete_listener(aws: Aws, actual: Attrs) -> None:
    with absent("ListenerNotFound"):
        aws.client("elbv2").delete_listener(ListenerArn=actual["ListenerArn"])
