"""The doors of the load balancer: production, test, and the one that only sends visitors to HTTPS."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bgdeploy.aws import ADDRESS_TAG, HOST_TAG, Attrs, Aws, absent, error_code, retry, tag_list
from bgdeploy.provision.resource import TAGS, Known, Look, Remains, Resource
from bgdeploy.resources.existing import ExistingLoadBalancer
from bgdeploy.resources.load_balancer import LoadBalancer, TargetGroup, delete_balancer, named, retag, tags_of

Balancer = LoadBalancer | ExistingLoadBalancer
_REDIRECT = "listener/redirect"  # the addresses of the doors
_DOORS = {"listener/production", "listener/test", _REDIRECT}


@dataclass(frozen=True)
class Tls:
    """What makes a listener speak HTTPS."""

    certificate: str
    policy: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Listener(Resource):
    """One of the two doors. It only forwards, to both target groups, by weights that are CodeDeploy's to move."""

    kind = "listener"
    found_by = "its tags, or its port"
    taken = frozenset({"DuplicateListener"})
    immutable = frozenset({"LoadBalancerArn"})
    # CodeDeploy rewrites them with every deployment (aws-facts 7.2): comparing them would send production back.
    create_only = frozenset({"DefaultActions"})
    balancer: Balancer
    port: int
    blue: TargetGroup
    green: TargetGroup
    tls: Tls | None = None
    host: str | None = None  # by which visitors know the application

    def desired(self, known: Known) -> Attrs:
        weights = {self.blue: 100, self.green: 0}
        groups = [
            {"TargetGroupArn": known[g]["TargetGroupArn"], "Weight": weight} for g, weight in weights.items()
        ]
        tls = self.tls and {
            "SslPolicy": self.tls.policy,
            "Certificates": [{"CertificateArn": self.tls.certificate}],
        }
        return {
            "LoadBalancerArn": known[self.balancer]["LoadBalancerArn"],
            "Protocol": "HTTPS" if self.tls else "HTTP",
            "Port": self.port,
            "DefaultActions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}],
            "Host": self.host,
            **(tls or {}),
        }

    def find(self, look: Look) -> Attrs | None:
        balancer = self.balancer.described(look)
        found = _door(look, balancer["LoadBalancerArn"], self) if balancer else None
        found = found or self._elsewhere(look)
        return found and {**found, "Host": found[TAGS].get(HOST_TAG)}

    def _elsewhere(self, look: Look) -> Attrs | None:
        """Return it from another load balancer, which its target groups belong to as long as it is there."""
        for arn in dict.fromkeys(
            arn
            for group in (self.blue, self.green)
            for arn in (group.described(look) or {}).get("LoadBalancerArns", ())
        ):
            for each in listeners(look, arn):
                if _is(look, each, self):
                    return each
        return None

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        asked = {key: value for key, value in desired.items() if key != "Host"}
        tags = {**self.tags(aws), **({HOST_TAG: self.host} if self.host else {})}
        made = aws.client("elbv2").create_listener(Tags=tag_list(tags), **asked)
        return {**made["Listeners"][0], "Host": self.host}

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        elbv2, arn = aws.client("elbv2"), actual["ListenerArn"]
        asked = {key: value for key, value in changed.items() if key != "Host"}
        if "Port" in asked:
            self._make_room(aws, actual["LoadBalancerArn"])
        if asked:
            # One of ours may still be on its way from that port to another.
            retry(
                aws,
                lambda: elbv2.modify_listener(ListenerArn=arn, **asked),
                lambda error: error_code(error) == "DuplicateListener",
                30,
            )
        if self.host and "Host" in changed:
            elbv2.add_tags(ResourceArns=[arn], Tags=tag_list({HOST_TAG: self.host}))
        elif "Host" in changed:
            elbv2.remove_tags(ResourceArns=[arn], TagKeys=[HOST_TAG])
        return changed

    def _make_room(self, aws: Aws, balancer: str) -> None:
        """Remove a redirect of ours from the port that this one moves to; it is forgotten then."""
        for each in listeners(Look(aws), balancer):
            redirect = aws.owns(each[TAGS]) and each[TAGS].get(ADDRESS_TAG) == _REDIRECT
            if redirect and each["Port"] == self.port:
                _delete(aws, each)

    def stranger(self, actual: Attrs) -> tuple[str, str]:
        return _in_the_way(self, actual)

    @property
    def adoptable(self) -> bool:
        return not isinstance(self.balancer, ExistingLoadBalancer)  # of which nothing is ever changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        retag(aws, actual["ListenerArn"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        _delete(aws, actual)

    def forgotten(self, look: Look, declared: Collection[Resource]) -> list[Remains]:
        """The listeners of ours on the same load balancer that nobody declares, and one's own beside another's."""
        balancer = self.balancer.described(look)
        arn = balancer["LoadBalancerArn"] if balancer else ""
        there = listeners(look, arn) if arn else []
        asked = [
            _door(look, arn, each) for each in declared if isinstance(each, (Listener, Redirect)) and there
        ]
        standing = {each["ListenerArn"] for each in asked if each}
        found = [
            Remains(
                name=f"{self.balancer.name}:{each['Port']}",
                was=each[TAGS].get(ADDRESS_TAG, self.kind),
                actual=each,
                remove=_delete,
            )
            for each in there
            if look.aws.owns(each[TAGS]) and each["ListenerArn"] not in standing
        ]
        if isinstance(self.balancer, ExistingLoadBalancer):
            own = named(look, self.balancer.own)
            if own and look.aws.owns(own[TAGS]):
                found.append(
                    Remains(name=self.balancer.own, was=LoadBalancer.kind, actual=own, remove=delete_balancer)
                )
        return found


@dataclass(frozen=True, eq=False, kw_only=True)
class Redirect(Resource):
    """The door for plain HTTP beside HTTPS: it sends visitors there, and nothing else."""

    kind = "listener"
    found_by = "its tags, or its port"
    taken = frozenset({"DuplicateListener"})
    immutable = frozenset({"LoadBalancerArn"})
    label: str = "redirect"
    balancer: Balancer
    port: int
    to: int

    def desired(self, known: Known) -> Attrs:
        target = {
            "Protocol": "HTTPS",
            "Port": str(self.to),
            "Host": "#{host}",
            "Path": "/#{path}",
            "Query": "#{query}",
            "StatusCode": "HTTP_301",
        }
        return {
            "LoadBalancerArn": known[self.balancer]["LoadBalancerArn"],
            "Protocol": "HTTP",
            "Port": self.port,
            "DefaultActions": [{"Type": "redirect", "RedirectConfig": target}],
        }

    def find(self, look: Look) -> Attrs | None:
        balancer = self.balancer.described(look)
        return _door(look, balancer["LoadBalancerArn"], self) if balancer else None

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        made = aws.client("elbv2").create_listener(Tags=tag_list(self.tags(aws)), **desired)
        return dict(made["Listeners"][0])

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        aws.client("elbv2").modify_listener(ListenerArn=actual["ListenerArn"], **changed)
        return changed

    def stranger(self, actual: Attrs) -> tuple[str, str]:
        return _in_the_way(self, actual)

    @property
    def adoptable(self) -> bool:
        return not isinstance(self.balancer, ExistingLoadBalancer)  # of which nothing is ever changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        retag(aws, actual["ListenerArn"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        _delete(aws, actual)


def listeners(look: Look, balancer: str) -> list[Attrs]:
    """Return the listeners of a load balancer with their tags."""

    def ask() -> list[Attrs]:
        found = []
        with absent("LoadBalancerNotFound"):  # it is going: its target groups name it a little longer
            found = look.aws.client("elbv2").describe_listeners(LoadBalancerArn=balancer)["Listeners"]
        tags = tags_of(look, [each["ListenerArn"] for each in found]) if found else {}
        return [{**each, TAGS: tags[each["ListenerArn"]]} for each in found]

    return look.once(("listeners", balancer), ask)


def _door(look: Look, balancer: str, door: Listener | Redirect) -> Attrs | None:
    """Return a listener of a load balancer; in its place, one that is not ours and holds the port that it needs."""
    there = listeners(look, balancer)
    own = next((each for each in there if _is(look, each, door)), None)
    at_port = next((each for each in there if each["Port"] == door.port), None)
    strange = at_port if at_port and not look.aws.owns(at_port[TAGS]) else None
    # Whose address somebody has taken or changed is known by its port, unless that is another door of ours.
    lost = at_port if at_port and not strange and at_port[TAGS].get(ADDRESS_TAG) not in _DOORS else None
    return own or lost or strange if look.for_removal else strange or own or lost


def _is(look: Look, found: Attrs, door: Resource) -> bool:
    return look.aws.owns(found[TAGS]) and found[TAGS].get(ADDRESS_TAG) == door.address


def _in_the_way(door: Listener | Redirect, actual: Mapping[str, Any]) -> tuple[str, str]:
    return (
        f"{door.kind} {door.name!r} (port {actual['Port']} of load balancer {door.balancer.name!r})",
        "choose another port in load_balancer",
    )


def _delete(aws: Aws, actual: Attrs) -> None:
    with absent("ListenerNotFound"):
        aws.client("elbv2").delete_listener(ListenerArn=actual["ListenerArn"])
