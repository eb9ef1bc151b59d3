"""The load balancer, and the pair of target groups that traffic moves between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bgdeploy.aws import Attrs, Aws, absent, error_code, retry, tag_list, tag_map, wait_until
from bgdeploy.provision.resource import TAGS, Known, Look, Resource
from bgdeploy.resources.existing import ExistingSubnets, ExistingVpc
from bgdeploy.resources.network import Subnet, Vpc
from bgdeploy.resources.security import SecurityGroup
from bgdeploy.resources.tagging import arns_like, told_of

# Attributes by the names that AWS gives them, each with a dot; what a new load balancer or target group has of them.
_PROTECTED = "deletion_protection.enabled"
_LOGGED = "access_logs.s3.enabled"
_NEW_BALANCER = {_PROTECTED: "false", _LOGGED: "false", "idle_timeout.timeout_seconds": "60"}
_NEW_GROUP = {"deregistration_delay.timeout_seconds": "300", "stickiness.enabled": "false"}
_GOING = 120.0  # seconds, until nothing of a load balancer that goes is seen any more
_PATIENCE = 600.0  # seconds; a load balancer comes within minutes, and goes


def tags_of(look: Look, arns: list[str]) -> dict[str, dict[str, str]]:
    """Return the tags of load balancers, target groups or listeners, twenty at a time as the API has it."""
    elbv2, told = look.aws.client("elbv2"), told_of(look, arns)
    left = [arn for arn in arns if arn not in told]
    described = [
        elbv2.describe_tags(ResourceArns=left[n : n + 20])["TagDescriptions"] for n in range(0, len(left), 20)
    ]
    return told | {each["ResourceArn"]: tag_map(each["Tags"]) for batch in described for each in batch}


def retag(aws: Aws, arn: str, tags: Mapping[str, str]) -> None:
    """Put `tags` on a load balancer, target group or listener."""
    aws.client("elbv2").add_tags(ResourceArns=[arn], Tags=tag_list(tags))


def named(look: Look, name: str) -> Attrs | None:
    """Return a load balancer with its tags, None when there is none of that name."""

    def ask() -> Attrs | None:
        with absent("LoadBalancerNotFound"):
            found = dict(look.aws.client("elbv2").describe_load_balancers(Names=[name])["LoadBalancers"][0])
            return {**found, TAGS: tags_of(look, [found["LoadBalancerArn"]])[found["LoadBalancerArn"]]}
        return None

    return look.once(("load balancer", name), ask)


def delete_balancer(aws: Aws, actual: Attrs) -> None:
    """Remove it and its listeners, and wait until it is gone: its target groups are in use until then."""
    elbv2, arn = aws.client("elbv2"), actual["LoadBalancerArn"]
    with absent("LoadBalancerNotFound"):
        elbv2.delete_load_balancer(LoadBalancerArn=arn)

    def gone() -> bool:
        with absent("LoadBalancerNotFound"):
            return not elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
        return True

    wait_until(aws, gone, _PATIENCE)


def _attributes(fields: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return those of the fields that are attributes, as the API wants them."""
    return [{"Key": key, "Value": value} for key, value in fields.items() if "." in key]


def _plain(fields: Attrs) -> Attrs:
    """Return those of the fields that are none."""
    return {key: value for key, value in fields.items() if "." not in key}


def _changed(fields: Mapping[str, Any], actual: Mapping[str, Any]) -> Attrs:
    """Return the attributes among the fields that are otherwise than `actual`."""
    return {key: value for key, value in fields.items() if "." in key and actual.get(key) != value}


@dataclass(frozen=True, eq=False, kw_only=True)
class LoadBalancer(Resource):
    """An application load balancer that faces the internet."""

    kind = "load-balancer"
    taken = frozenset({"DuplicateLoadBalancerName"})
    immutable = frozenset({"Scheme", "Type"})
    subnets: tuple[Subnet | ExistingSubnets, ...]
    security_group: SecurityGroup
    idle_timeout: int = 60  # seconds
    protected: bool = False  # from being deleted
    logs: tuple[str, str] | None = None  # bucket and prefix of the access logs

    def desired(self, known: Known) -> Attrs:
        bucket, prefix = self.logs or ("", "")
        place = {"access_logs.s3.bucket": bucket, "access_logs.s3.prefix": prefix} if self.logs else {}
        return {
            "Scheme": "internet-facing",
            "Type": "application",
            "Subnets": {each for subnet in self.subnets for each in subnet.ids(known)},
            "SecurityGroups": {known[self.security_group]["GroupId"]},
            "idle_timeout.timeout_seconds": str(self.idle_timeout),
            _PROTECTED: _switch(self.protected),
            _LOGGED: _switch(self.logs),
            **place,
        }

    def described(self, look: Look) -> Attrs | None:
        """Return what AWS says of it, None when it is not there."""
        return named(look, self.name)

    def find(self, look: Look) -> Attrs | None:
        found = self.described(look)
        if found is None:
            return None
        told = look.aws.client("elbv2").describe_load_balancer_attributes(
            LoadBalancerArn=found["LoadBalancerArn"]
        )
        attributes = {each["Key"]: each["Value"] for each in told["Attributes"]}
        return {**found, **attributes, "Subnets": {zone["SubnetId"] for zone in found["AvailabilityZones"]}}

    def held(self, actual: Attrs) -> str:
        if actual[_PROTECTED] != "true":
            return ""
        return (
            f"load balancer {self.name!r} is protected from being deleted, so nothing is removed: write "
            "load_balancer.deletion_protection: false, run bgdeploy provision, then teardown again"
        )

    def coming(self, actual: Attrs) -> bool:
        return bool(actual["State"]["Code"] == "provisioning")

    def await_use(self, aws: Aws, actual: Attrs) -> None:
        asked = {"LoadBalancerArns": [actual["LoadBalancerArn"]]}

        def active() -> bool:
            found = aws.client("elbv2").describe_load_balancers(**asked)["LoadBalancers"][0]
            return not self.coming(found)

        wait_until(aws, active, _PATIENCE)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        asked = {
            **_plain(desired),
            "Subnets": sorted(desired["Subnets"]),
            "SecurityGroups": sorted(desired["SecurityGroups"]),
        }
        made = aws.client("elbv2").create_load_balancer(
            Name=self.name, Tags=tag_list(self.tags(aws)), **asked
        )
        actual = {**made["LoadBalancers"][0], **_NEW_BALANCER}
        return {**actual, **self.update(aws, actual, _changed(desired, actual))}

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        elbv2, arn = aws.client("elbv2"), actual["LoadBalancerArn"]
        if "Subnets" in changed:
            elbv2.set_subnets(LoadBalancerArn=arn, Subnets=sorted(changed["Subnets"]))
        if "SecurityGroups" in changed:
            elbv2.set_security_groups(LoadBalancerArn=arn, SecurityGroups=sorted(changed["SecurityGroups"]))
        if _attributes(changed):
            elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=_attributes(changed))
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        retag(aws, actual["LoadBalancerArn"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        delete_balancer(aws, actual)


def _switch(value: object) -> str:
    return "true" if value else "false"


def _told_groups(look: Look) -> dict[str, Attrs]:
    """Return those of the stack's target groups that its tags lead to, by name: one call for twenty of them."""

    def ask() -> dict[str, Attrs]:
        elbv2, told = look.aws.client("elbv2"), arns_like(look, ":targetgroup/")
        with absent(
            "TargetGroupNotFound"
        ):  # tags may outlive a group for a moment, and one that is gone fails all
            answers = [
                elbv2.describe_target_groups(TargetGroupArns=told[n : n + 20])["TargetGroups"]
                for n in range(0, len(told), 20)
            ]
            return {each["TargetGroupName"]: dict(each) for answer in answers for each in answer}
        return {}

    return look.once("target groups", ask)


@dataclass(frozen=True, eq=False, kw_only=True)
class TargetGroup(Resource):
    """One side, blue or green, of the pair that CodeDeploy moves traffic between."""

    kind = "target-group"
    taken = frozenset({"DuplicateTargetGroupName"})
    immutable = frozenset({"VpcId", "TargetType", "Protocol", "Port"})
    vpc: Vpc | ExistingVpc
    port: int
    health: Any  # config.HealthCheck
    deregistration_delay: int
    stickiness: int | None = None  # seconds for which a visitor comes back to the same task

    def desired(self, known: Known) -> Attrs:
        sticky = {
            "stickiness.type": "lb_cookie",
            "stickiness.lb_cookie.duration_seconds": str(int(self.stickiness or 0)),
        }
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
            "deregistration_delay.timeout_seconds": str(int(self.deregistration_delay)),
            "stickiness.enabled": _switch(self.stickiness),
            **(sticky if self.stickiness else {}),
        }

    def described(self, look: Look) -> Attrs | None:
        """Return what AWS says of it, None when it is not there."""

        def ask() -> Attrs | None:
            if self.name in (told := _told_groups(look)):
                return told[self.name]
            with absent("TargetGroupNotFound"):
                found = look.aws.client("elbv2").describe_target_groups(Names=[self.name])
                return dict(found["TargetGroups"][0])
            return None

        return look.once(self, ask)

    def find(self, look: Look) -> Attrs | None:
        found = self.described(look)
        if found is None:
            return None
        arn = found["TargetGroupArn"]
        told = look.aws.client("elbv2").describe_target_group_attributes(TargetGroupArn=arn)
        attributes = {each["Key"]: each["Value"] for each in told["Attributes"]}
        return {**found, **attributes, TAGS: tags_of(look, [arn])[arn]}

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        made = aws.client("elbv2").create_target_group(
            Name=self.name, Tags=tag_list(self.tags(aws)), **_plain(desired)
        )
        actual = {**made["TargetGroups"][0], **_NEW_GROUP}
        return {**actual, **self.update(aws, actual, _changed(desired, actual))}

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        elbv2, arn = aws.client("elbv2"), actual["TargetGroupArn"]
        if _plain(changed):
            elbv2.modify_target_group(TargetGroupArn=arn, **_plain(changed))
        if _attributes(changed):
            elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=_attributes(changed))
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        retag(aws, actual["TargetGroupArn"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        """Remove it once no listener forwards to it: others' go with the load balancer, which is going meanwhile."""

        def remove() -> None:
            with absent("TargetGroupNotFound"):
                aws.client("elbv2").delete_target_group(TargetGroupArn=actual["TargetGroupArn"])

        retry(aws, remove, lambda error: error_code(error) == "ResourceInUse", _GOING)
