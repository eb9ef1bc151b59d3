"""Security groups: who may talk to whom."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from bgdeploy.aws import CALLER_MARK, Attrs, Aws, absent, error_code, tag_map
from bgdeploy.provision.resource import TAGS, Known, Look, Remains, Resource
from bgdeploy.resources import ec2
from bgdeploy.resources.existing import ExistingLoadBalancer, ExistingVpc
from bgdeploy.resources.network import ANYWHERE, Vpc
from bgdeploy.resources.storage import Bucket

Source = Union["SecurityGroup", Vpc, ExistingVpc, ExistingLoadBalancer]


@dataclass(frozen=True)
class Rule:
    """One thing a security group lets through: TCP to a port, or everything (port None)."""

    port: int | None
    cidr: str = ""
    source: Source | None = None  # instead of a CIDR: whoever is in this

    def keys(self, known: Known) -> set[str]:
        """Return how plans write the rule, once for each other side; rules are compared by it too."""
        others = (self.cidr,) if self.source is None else self.source.sources(known)
        return {f"{'all' if self.port is None else f'tcp {self.port}'} {other}" for other in others}


def _permission(key: str) -> Attrs:
    """Return the rule that `key` writes, in AWS's words."""
    what, _, other = key.rpartition(" ")
    protocol, _, ports = what.partition(" ")
    found: Attrs = {"IpProtocol": "-1" if protocol == "all" else protocol}
    span = re.fullmatch(r"(-?\d+)(?:-(-?\d+))?", ports)
    if span:
        first, last = span.groups()
        found |= {"FromPort": int(first), "ToPort": int(last or first)}
    return {**found, **_other_side(other)}


def _other_side(other: str) -> Attrs:
    account, _, group = other.rpartition("/")
    if group.startswith("sg-"):
        return {"UserIdGroupPairs": [{"GroupId": group, **({"UserId": account} if account else {})}]}
    if other.startswith("pl-"):
        return {"PrefixListIds": [{"PrefixListId": other}]}
    if ":" in other:
        return {"Ipv6Ranges": [{"CidrIpv6": other}]}
    return {"IpRanges": [{"CidrIp": other}]}


def _keys(permissions: Sequence[Attrs], owner: str) -> set[str]:
    """Return the rules of a security group of `owner`, written as `Rule` writes them."""
    return {f"{_what(each)} {other}" for each in permissions for other in _others(each, owner)}


def _what(permission: Attrs) -> str:
    protocol, first, last = permission["IpProtocol"], permission.get("FromPort"), permission.get("ToPort")
    if protocol == "-1":
        return "all"
    if first is None:
        return str(protocol)
    return f"{protocol} {first}" if first == last else f"{protocol} {first}-{last}"


def _others(permission: Attrs, owner: str) -> Iterator[str]:
    # What lets a caller in for the length of its checks is no part of the group as the config has it.
    lasting = (each for each in permission.get("IpRanges", ()) if not _opened(each))
    yield from (each["CidrIp"] for each in lasting)
    yield from (each["CidrIpv6"] for each in permission.get("Ipv6Ranges", ()))
    yield from (each["PrefixListId"] for each in permission.get("PrefixListIds", ()))
    for each in permission.get("UserIdGroupPairs", ()):
        account = each.get("UserId", owner)
        yield each["GroupId"] if account == owner else f"{account}/{each['GroupId']}"


def _opened(block: Attrs) -> bool:
    return str(block.get("Description", "")).startswith(CALLER_MARK)


def lets_callers_in(group: Attrs) -> bool:
    """Tell whether a security group, as it was found, has a rule for somebody who runs checks."""
    blocks = (block for each in group["IpPermissions"] for block in each.get("IpRanges", ()))
    return any(_opened(block) for block in blocks)


def _groups(aws: Aws, vpc: str) -> list[Attrs]:
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    return list(aws.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"])


def _each_or_all(call: Callable[..., object], group: str, rules: set[str], done: str) -> None:
    """Call with all rules at once; one by one where one of them is `done` already, for which AWS refuses them all."""
    if not rules:
        return
    from botocore.exceptions import ClientError

    permissions = [_permission(key) for key in sorted(rules)]
    try:
        call(GroupId=group, IpPermissions=permissions)
    except ClientError as error:
        if error_code(error) != done:
            raise
        for permission in permissions:
            with absent(done):
                call(GroupId=group, IpPermissions=[permission])


@dataclass(frozen=True, eq=False, kw_only=True)
class SecurityGroup(Resource):
    """Who may reach something, and what it may reach."""

    kind = "security-group"
    found_by = "its tags, or its name in the VPC"
    immutable = frozenset({"VpcId", "GroupName"})
    taken = frozenset({"InvalidGroup.Duplicate"})
    vpc: Vpc | ExistingVpc
    bucket: Bucket
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]
    callers: bool = False  # whoever runs checks is let in meanwhile

    @property
    def depends_on(self) -> tuple[Resource, ...]:
        others = (rule.source for rule in (*self.ingress, *self.egress) if rule.source is not None)
        return tuple(dict.fromkeys((*super().depends_on, *others)))

    def desired(self, known: Known) -> Attrs:
        return {
            "GroupName": self.name,
            "VpcId": known[self.vpc]["VpcId"],
            "Ingress": {key for rule in self.ingress for key in rule.keys(known)},
            "Egress": {key for rule in self.egress for key in rule.keys(known)},
        }

    def sources(self, known: Known) -> tuple[str, ...]:
        """Return its id, by which rules mean whoever is in it."""
        return (known[self]["GroupId"],)

    def find(self, look: Look) -> Attrs | None:
        found = ec2.mine(self, look, ec2.SECURITY_GROUP) or self._namesake(look)
        return found and {
            **found,
            "Ingress": _keys(found["IpPermissions"], found["OwnerId"]),
            "Egress": _keys(found["IpPermissionsEgress"], found["OwnerId"]),
        }

    def _namesake(self, look: Look) -> Attrs | None:
        """Return whatever has its name in the VPC: AWS gives no name there twice."""
        vpc = self.vpc.find(look)
        if vpc is None:
            return None
        groups = look.once(("security groups", vpc["VpcId"]), lambda: _groups(look.aws, vpc["VpcId"]))
        found = next((each for each in groups if each["GroupName"] == self.name), None)
        return found and {**found, TAGS: tag_map(found.get("Tags"))}

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        made = aws.client("ec2").create_security_group(
            GroupName=desired["GroupName"],
            VpcId=desired["VpcId"],
            Description=f"{self.address} of {aws.stack}",
            TagSpecifications=ec2.specification(self, aws, ec2.SECURITY_GROUP),
        )
        # AWS gives every new group a rule that lets everything out.
        actual = {"GroupId": made["GroupId"], "Ingress": set(), "Egress": {f"all {ANYWHERE}"}}
        wanted = {key: desired[key] for key in ("Ingress", "Egress") if desired[key] != actual[key]}
        return {**actual, **self.update(aws, actual, wanted)}

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        client = aws.client("ec2")
        for way, wanted in changed.items():
            authorize = getattr(client, f"authorize_security_group_{way.lower()}")
            revoke = getattr(client, f"revoke_security_group_{way.lower()}")
            _each_or_all(authorize, actual["GroupId"], wanted - actual[way], "InvalidPermission.Duplicate")
            _each_or_all(revoke, actual["GroupId"], actual[way] - wanted, "InvalidPermission.NotFound")
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        ec2.retag(aws, actual["GroupId"], tags)

    def forgotten(self, look: Look, declared: Collection[Resource]) -> list[Remains]:
        return ec2.forgotten(look, declared, self.bucket.name)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        ec2.SECURITY_GROUP.delete(aws, actual["GroupId"])
