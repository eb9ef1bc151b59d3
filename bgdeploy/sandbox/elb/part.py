"""The part of the sandbox that is Elastic Load Balancing v2."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bgdeploy.sandbox.elb import metrics, reach, validate, wanted
from bgdeploy.sandbox.elb.addresses import Addresses, free_port
from bgdeploy.sandbox.elb.api import Operations
from bgdeploy.sandbox.elb.dataplane import DataPlane
from bgdeploy.sandbox.elb.interfaces import Interfaces
from bgdeploy.sandbox.elb.keeper import tag_url
from bgdeploy.sandbox.elb.model import GroupView, ListenerView, Target
from bgdeploy.sandbox.elb.targets import Targets
from bgdeploy.sandbox.elb.topology import Topologies
from bgdeploy.sandbox.network.model import Interface
from bgdeploy.sandbox.world import Handler, World

if TYPE_CHECKING:
    from bgdeploy.sandbox.internet import Place

log = logging.getLogger("bgdeploy.sandbox")
_COUNT_EVERY = 15  # AWS seconds


class Elb:
    """Load balancers that carry real traffic to real targets."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._topologies = Topologies(world)
        self._targets = Targets(world)
        self._addresses = Addresses()
        self._interfaces = Interfaces(world, self._topologies)
        self._plane = DataPlane()
        self._inside: dict[str, int] = {}  # listener → the port of its door for those inside the VPC
        self._counted = 0  # the turn in which targets were last counted
        self._api = Operations(
            world, self._topologies, self._targets, self._addresses, self._interfaces.outlive
        )

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        return self._api.handlers()

    def tick(self) -> None:
        """Take in what the balancer found out, let drained targets go, and tell the balancer what has changed."""
        for told in self._plane.received():
            self._learn(told)
        self._count_targets()
        self._targets.let_go()
        if self._plane.died:
            log.error("the balancer died and is started again")
        if self._targets.changed or self._topologies.changed or self._plane.died:
            self._push()

    def close(self) -> None:
        self._plane.close()
        self._addresses.close()

    # For the other parts

    def interfaces(self, region: str) -> list[Interface]:
        """Return the network interfaces of the load balancers."""
        return self._interfaces.all(region)

    def inside(self, place: Place) -> dict[str, tuple[str, int]]:
        """Return where connections lead that go from inside a VPC to a private address of a load balancer's.

        Whoever comes over loopback comes from `settings.caller`: for those inside, listeners have doors of their own.
        """
        topology, doors = self._topologies.of(place.region), {}
        for arn, listener in topology.listeners.items():
            balancer, port = topology.balancers[listener["LoadBalancerArn"]], listener["Port"]
            if not reach.inside_reaches(balancer, port, place.address, place.security_groups, topology):
                continue
            if arn not in self._inside:
                self._inside[arn] = free_port()
                self._topologies.touch(place.region)
            for address in self._private(balancer["LoadBalancerArn"], place.region):
                doors[f"{address}:{port}"] = ("127.0.0.1", self._inside[arn])
        return doors

    def _private(self, balancer: str, region: str) -> list[str]:
        named = {"Name": "description", "Values": [f"ELB {balancer.partition(':loadbalancer/')[2]}"]}
        ec2 = self._world.client("ec2", region=region)
        found = ec2.describe_network_interfaces(Filters=[named])["NetworkInterfaces"]
        return [each["PrivateIpAddress"] for each in found]

    def touch(self, region: str) -> None:
        """Something in the network around the load balancers is about to change, or has."""
        self._topologies.touch(region)

    def target_group(self, name_or_arn: str, region: str) -> GroupView | None:
        """Return the target group called so, None when there is none such."""
        topology = self._topologies.of(region)
        for arn, group in topology.groups.items():
            if name_or_arn in (group["TargetGroupName"], arn):
                kind = group.get("TargetType", "instance")
                return GroupView(arn, group["TargetGroupName"], topology.behind.get(arn, ()), kind)
        return None

    def listener(self, arn: str) -> ListenerView | None:
        """Return the listener, None when there is none such."""
        found = self._topologies.of(_region(arn)).listeners.get(arn)
        if found is None:
            return None
        return ListenerView(arn, found["LoadBalancerArn"], found["Port"], found["Protocol"])

    def forwards(self, listener_arn: str) -> list[dict[str, int]]:
        """Return the weighted forwards of the listener: the default action's, then each rule's.

        Raises RefusedError when there is no such listener.
        """
        listener = self._topologies.of(_region(listener_arn)).require_listener(listener_arn)
        found = (validate.weights(listener["DefaultActions"]), *_weights_of_rules(listener["Rules"]).values())
        return [weights for weights in found if weights]

    def set_weights(self, listener_arn: str, weights: Mapping[str, int]) -> None:
        """Rewrite the default action, and every rule that forwards to one of these groups (aws-facts 7.2).

        Raises RefusedError when there is no such listener.
        """
        region = _region(listener_arn)
        listener = self._topologies.of(region).require_listener(listener_arn)
        moto, actions = self._world.beneath("elbv2", region=region), [validate.weighted(weights)]
        self._topologies.touch(region)
        moto.modify_listener(ListenerArn=listener_arn, DefaultActions=actions)
        for rule, old in _weights_of_rules(listener["Rules"]).items():
            if old.keys() & weights.keys():
                moto.modify_rule(RuleArn=rule, Actions=actions)

    def register(
        self,
        group_arn: str,
        ip: str,
        port: int,
        endpoint: tuple[str, int] | None,
        security_groups: tuple[str, ...] = (),
    ) -> None:
        """Register a target that really listens on `endpoint`; it is healthy after its first successful check."""
        self._targets.register(group_arn, Target(ip, port, endpoint, security_groups))

    def deregister(self, group_arn: str, ip: str, port: int) -> None:
        """Let a target drain for the group's deregistration delay, then forget it."""
        self._targets.deregister(group_arn, ip, port, self._api.delay(group_arn, _region(group_arn)))

    def health(self, group_arn: str, ip: str, port: int) -> str:
        """Return initial, healthy, unhealthy, draining or unused."""
        target = self._targets.find(group_arn, ip, port)
        if target is None:
            return "unused"
        in_use = bool(self._topologies.of(_region(group_arn)).behind.get(group_arn))
        return target.told(in_use=in_use)["State"]

    def why(self, group_arn: str, ip: str, port: int) -> str:
        """Return what is wrong with a target, "" when nothing is."""
        target = self._targets.find(group_arn, ip, port)
        return target.detail if target is not None else ""

    def gone(self, group_arn: str, ip: str, port: int) -> bool:
        """Tell whether a target has left: its deregistration delay is over and it carries nothing any more."""
        return self._targets.find(group_arn, ip, port) is None

    # The balancer

    def _learn(self, told: Mapping[str, Any]) -> None:
        if "target" in told or "drained" in told:
            self._targets.learn(told)
        elif "failed" in told and wanted.outside(told["failed"]) != told["failed"]:
            self._inside[wanted.outside(told["failed"])] = free_port()
            self._topologies.touch(_region(told["failed"]))
        elif "failed" in told:
            self._move(told["failed"], told["error"])
        elif hasattr(self._world, "alarms"):
            self._publish(told)

    def _push(self) -> None:
        """Tell the balancer everything it should be."""
        document: dict[str, Any] = {"listeners": [], "groups": {}}
        settings, attributes = self._world.settings, self._api.attributes
        for topology in self._topologies.all().values():
            document["listeners"] += wanted.listeners(
                topology, settings, self._addresses.endpoint, attributes.of_balancer
            )
            document["groups"] |= wanted.groups(topology, settings, self._targets.of, attributes.of_group)
        document["listeners"] += wanted.inside(document["listeners"], self._inside)
        self._targets.settle(document["groups"])
        self._targets.changed = self._topologies.changed = False
        if document["listeners"] or self._plane.running:
            self._plane.send(document)

    def _move(self, listener_arn: str, problem: str) -> None:
        """Give a listener another port of this machine when its own could not be opened."""
        region = _region(listener_arn)
        listener = self._topologies.of(region).listeners.get(listener_arn)
        if listener is None:
            return
        log.warning("%s could not listen (%s): it gets another port", listener_arn, problem)
        self._addresses.lose(listener["LoadBalancerArn"], listener["Port"])
        tag_url(self._world, listener, self._addresses, region)
        self._topologies.touch(region)

    def _count_targets(self) -> None:
        """Publish how many targets of each group are well, several times in a minute of AWS's."""
        now = self._world.clock.now()
        turn = int(now.timestamp()) // _COUNT_EVERY
        if turn == self._counted or not hasattr(self._world, "alarms"):
            return
        self._counted = turn
        for region, topology in self._topologies.all().items():
            for group in topology.groups:
                states = [target.state for target in self._targets.of(group)]
                for metric, samples, unit in metrics.of_targets(group, states, region, topology):
                    self._world.alarms.publish(metric, now, samples, unit)

    def _publish(self, told: Mapping[str, Any]) -> None:
        if "listener" in told:
            told = {**told, "listener": wanted.outside(told["listener"])}
        region = _region(told.get("group") or told["listener"])
        topology, now = self._topologies.of(region), self._world.clock.now()
        points = metrics.of_group if "group" in told else metrics.of_listener
        for metric, samples, unit in points(told, region, topology):
            self._world.alarms.publish(metric, now, samples, unit)


def _weights_of_rules(rules: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    return {rule["RuleArn"]: validate.weights(rule["Actions"]) for rule in rules}


def _region(arn: str) -> str:
    return arn.split(":")[3]
