"""Security groups: who may talk to whom."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from bgdeploy.aws import Attrs, Aws, absent, error_code
from bgdeploy.provision.resource import Known, Look, Remains, Resource
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
    what, _, other = key.rpartition(" ")
    ports: Attrs = {"IpProtocol": "-1"}
    if what != "all":
        port = int(what.split()[1])
        ports = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    if other.startswith("sg-"):
        return {**ports, "UserIdGroupPairs": [{"GroupId": other}]}
    return {**ports, "IpRanges": [{"CidrIp": other}]}


def _keys(permissions: Sequence[Attrs]) -> set[str]:
    """Return the rules of a security group, written as `Rule.key` writes them; any other kind in AWS's own words."""
    found = set()
    for each in permissions:
        protocol, first, last = each["IpProtocol"], each.get("FromPort"), each.get("ToPort")
        what = (
            "all"
            if protocol == "-1"
            else f"{protocol} {first}"
            if first == last
            else f"{protocol} {first}-{last}"
        )
        others = [pair["CidrIp"] for pair in each.get("IpRanges", [])]
        others += [pair["GroupId"] for pair in each.get("UserIdGroupPairs", [])]
        found |= {f"{what} {other}" for other in others}
    return found


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
    immutable = frozenset({"VpcId", "GroupName"})
    taken = frozenset({"InvalidGroup.Duplicate"})
    vpc: Vpc | ExistingVpc
    bucket: Bucket
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]

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
        found = ec2.mine(self, look, ec2.SECURITY_GROUP)
        return found and {
            **found,
            "Ingress": _keys(found["IpPermissions"]),
            "Egress": _keys(found["IpPermissionsEgress"]),
        }

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
