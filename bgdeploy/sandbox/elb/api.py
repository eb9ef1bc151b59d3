"""The operations of Elastic Load Balancing that the sandbox answers itself, or answers better than moto."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bgdeploy.sandbox import internet
from bgdeploy.sandbox.elb import validate
from bgdeploy.sandbox.elb.addresses import Addresses
from bgdeploy.sandbox.elb.attributes import Attributes
from bgdeploy.sandbox.elb.keeper import tag_url
from bgdeploy.sandbox.elb.model import Target, name_of, not_registered
from bgdeploy.sandbox.elb.targets import Targets
from bgdeploy.sandbox.elb.tls import Tls
from bgdeploy.sandbox.elb.topology import Facts, Topologies
from bgdeploy.sandbox.inprocess import forwarded
from bgdeploy.sandbox.world import PASS, Call, Handler, RefusedError, World, _Pass

_DELAY = "deregistration_delay.timeout_seconds"  # aws-facts 7.4
# Whatever else changes who may reach what, or who stands behind it: moto does it, and the topology is stale.
_ELB_CHANGES = (
    "DeleteRule",
    "SetRulePriorities",
    "DeleteListener",
    "SetSecurityGroups",
    "SetSubnets",
    "ModifyTargetGroup",
)
_EC2_CHANGES = (
    "AuthorizeSecurityGroupIngress",
    "AuthorizeSecurityGroupEgress",
    "RevokeSecurityGroupIngress",
    "RevokeSecurityGroupEgress",
    "ModifySecurityGroupRules",
    "CreateSecurityGroup",
    "CreateSubnet",
    "CreateVpc",
)


class Operations:
    """What people and programs ask of load balancers."""

    def __init__(
        self,
        world: World,
        topologies: Topologies,
        targets: Targets,
        addresses: Addresses,
        outlive: Callable[[str, str], None],
    ) -> None:
        self._world = world
        self._topologies = topologies
        self._targets = targets
        self._addresses = addresses
        self.attributes = Attributes(world, topologies)
        self._tls = Tls(world, topologies)
        self._outlive = outlive  # told of a load balancer, and its region, that is about to be deleted

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        ours: dict[str, Handler] = {
            "CreateLoadBalancer": self._create_load_balancer,
            "DescribeLoadBalancers": self._describe_load_balancers,
            "DeleteLoadBalancer": self._delete_load_balancer,
            "CreateTargetGroup": self._create_target_group,
            "DeleteTargetGroup": self._delete_target_group,
            "CreateListener": self._create_listener,
            "ModifyListener": self._modify_listener,
            "DescribeListeners": self._describe_listeners,
            "CreateRule": self._create_rule,
            "ModifyRule": self._modify_rule,
            "DescribeRules": self._describe_rules,
            "RegisterTargets": self._register_targets,
            "DeregisterTargets": self._deregister_targets,
            "DescribeTargetHealth": self._describe_target_health,
        }
        ours |= self.attributes.handlers()
        ours |= dict.fromkeys(_ELB_CHANGES, self._touch)
        watched: dict[tuple[str, str], Handler] = {("ec2", name): self._touch for name in _EC2_CHANGES}
        listed = {("elbv2", name): handler for name, handler in ours.items()}
        return {**listed, **watched, **self._tls.handlers()}

    def delay(self, group: str, region: str) -> int:
        """Return a target group's deregistration delay in AWS seconds."""
        if group not in self._topologies.of(region).groups:
            return 0
        return int(self.attributes.of_group(group)[_DELAY])

    def _touch(self, call: Call) -> _Pass:
        self._topologies.touch(call.region)
        return PASS

    def _changed(self, call: Call) -> dict[str, Any]:
        self._topologies.touch(call.region)
        return forwarded(self._world, call)

    # Load balancers

    def _create_load_balancer(self, call: Call) -> dict[str, Any]:
        """A second creation with the same settings returns the first (aws-facts 7.4)."""
        validate.check_type(call.params.get("Type", "application"))
        validate.check_name(call.params["Name"])
        subnets = call.params.get("Subnets") or [m["SubnetId"] for m in call.params.get("SubnetMappings", [])]
        ec2 = self._world.beneath("ec2", region=call.region)
        try:
            found = ec2.describe_subnets(SubnetIds=subnets)["Subnets"] if subnets else []
        except ec2.exceptions.ClientError as error:
            raise RefusedError("SubnetNotFoundException", error.response["Error"]["Message"]) from None
        validate.check_subnets([subnet["AvailabilityZone"] for subnet in found], len(subnets))
        self._check_internet(call, found[0]["VpcId"])
        existing = [
            each
            for each in self._topologies.of(call.region).balancers.values()
            if each["LoadBalancerName"] == call.params["Name"]
        ]
        if existing:
            validate.check_same_balancer(existing[0], call.params, subnets)
            return {"LoadBalancers": [self._named(each) for each in existing]}
        made = self._changed(call)
        if hasattr(self._world, "roles"):
            self._world.roles.link("elasticloadbalancing.amazonaws.com")
        return {"LoadBalancers": [self._named(each) for each in made["LoadBalancers"]]}

    def _check_internet(self, call: Call, vpc: str) -> None:
        if call.params.get("Scheme", validate.SCHEME) != validate.SCHEME:
            return
        if not internet.has_gateway(self._world, vpc, call.region):
            raise RefusedError("InvalidSubnetException", f"VPC {vpc} has no internet gateway")

    def _describe_load_balancers(self, call: Call) -> dict[str, Any]:
        found = forwarded(self._world, call)
        return {**found, "LoadBalancers": [self._named(each) for each in found["LoadBalancers"]]}

    def _delete_load_balancer(self, call: Call) -> dict[str, Any]:
        arn = call.params["LoadBalancerArn"]
        if self.attributes.of_balancer(arn)["deletion_protection.enabled"] == "true":
            message = f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
            raise RefusedError("OperationNotPermittedException", message)
        self._outlive(arn, call.region)
        deleted = self._changed(call)
        self.attributes.forget(arn)
        self._addresses.release(arn)
        return deleted

    def _named(self, balancer: Facts) -> Facts:
        name = self._addresses.take(balancer["LoadBalancerArn"])
        return {"Scheme": validate.SCHEME, **balancer, "DNSName": name}

    # Target groups

    def _create_target_group(self, call: Call) -> dict[str, Any] | _Pass:
        """A second creation with the same settings returns the first (aws-facts 7.4)."""
        name, groups = call.params["Name"], self._topologies.of(call.region).groups
        existing = next((group for group in groups.values() if group["TargetGroupName"] == name), None)
        if existing is None:
            return self._touch(call)
        validate.check_same_group(existing, call.params)
        return {"TargetGroups": [existing]}

    def _delete_target_group(self, call: Call) -> _Pass:
        arn = call.params["TargetGroupArn"]
        if self._topologies.of(call.region).behind.get(arn):
            message = f"Target group '{arn}' is currently in use by a listener or a rule"
            raise RefusedError("ResourceInUseException", message)
        self._targets.forget_group(arn)
        self.attributes.forget(arn)
        return self._touch(call)

    # Listeners and rules

    def _create_listener(self, call: Call) -> dict[str, Any]:
        topology = self._topologies.of(call.region)
        balancer, port = call.params["LoadBalancerArn"], call.params["Port"]
        topology.require_balancer(balancer)
        mine = [each for each in topology.listeners.values() if each["LoadBalancerArn"] == balancer]
        validate.check_port(mine, port)
        self._tls.check(call.region, call.params)
        self._check(call, balancer)
        made = self._changed(call)["Listeners"]
        tag_url(self._world, made[0], self._addresses, call.region)
        return {"Listeners": [validate.as_told(each) for each in made]}

    def _modify_listener(self, call: Call) -> dict[str, Any]:
        topology = self._topologies.of(call.region)
        current = topology.require_listener(call.params["ListenerArn"])
        others = [
            each
            for each in topology.listeners.values()
            if each["LoadBalancerArn"] == current["LoadBalancerArn"] and each is not current
        ]
        validate.check_port(others, call.params.get("Port") or current["Port"])
        self._tls.check(call.region, _changed_tls(current, call.params))
        self._check(call, current["LoadBalancerArn"])
        modified = self._changed(call)["Listeners"]
        tag_url(self._world, modified[0], self._addresses, call.region)
        return {"Listeners": [validate.as_told(each) for each in modified]}

    def _describe_listeners(self, call: Call) -> dict[str, Any]:
        found = forwarded(self._world, call)
        return {**found, "Listeners": [validate.as_told(each) for each in found["Listeners"]]}

    def _create_rule(self, call: Call) -> dict[str, Any]:
        listener = self._topologies.of(call.region).require_listener(call.params["ListenerArn"])
        self._check(call, listener["LoadBalancerArn"])
        return {"Rules": [validate.as_told(each) for each in self._changed(call)["Rules"]]}

    def _modify_rule(self, call: Call) -> dict[str, Any]:
        listener = self._topologies.of(call.region).listener_of_rule(call.params["RuleArn"])
        self._check(call, listener["LoadBalancerArn"])
        return {"Rules": [validate.as_told(each) for each in self._changed(call)["Rules"]]}

    def _describe_rules(self, call: Call) -> dict[str, Any]:
        found = forwarded(self._world, call)
        return {**found, "Rules": [validate.as_told(each) for each in found["Rules"]]}

    def _check(self, call: Call, balancer: str) -> None:
        """Refuse actions that AWS would."""
        topology = self._topologies.of(call.region)
        known = {arn: topology.behind.get(arn, ()) for arn in topology.groups}
        for key in ("DefaultActions", "Actions"):
            validate.check_actions(call.params.get(key, []), known, balancer)
            validate.check_redirects(call.params.get(key, []))

    # Targets

    def _register_targets(self, call: Call) -> dict[str, Any]:
        group = self._topologies.of(call.region).require_group(call.params["TargetGroupArn"])
        for ip, port in self._asked(call):
            validate.check_address(group, ip)
            self._targets.register(call.params["TargetGroupArn"], Target(ip, port))
        return {}

    def _deregister_targets(self, call: Call) -> dict[str, Any]:
        group = call.params["TargetGroupArn"]
        for ip, port in self._asked(call):
            self._targets.deregister(group, ip, port, self.delay(group, call.region))
        return {}

    def _describe_target_health(self, call: Call) -> dict[str, Any]:
        topology = self._topologies.of(call.region)
        arn, asked = call.params["TargetGroupArn"], self._asked(call)
        group = topology.require_group(arn)
        known = {target.id: target for target in self._targets.of(arn)}
        in_use = bool(topology.behind.get(arn))
        wanted = asked or [(target.ip, target.port) for target in known.values()]
        told = []
        for ip, port in wanted:
            target = known.get(name_of(ip, port))
            health = target.told(in_use=in_use) if target else not_registered()
            told.append(_health(group, ip, port, health))
        return {"TargetHealthDescriptions": told}

    def _asked(self, call: Call) -> list[tuple[str, int]]:
        """Return the targets that a request names; a target without a port has its group's."""
        group = self._topologies.of(call.region).require_group(call.params["TargetGroupArn"])
        return [
            (each["Id"], each.get("Port", group.get("Port", 80))) for each in call.params.get("Targets", [])
        ]


def _changed_tls(current: Facts, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a listener is about TLS, as it is to be: what is not asked for stays, but not on plain HTTP."""
    protocol = asked.get("Protocol", current["Protocol"])
    names = ("Certificates", "SslPolicy")
    before = {name: current[name] for name in names if current.get(name) and protocol == "HTTPS"}
    return {**before, **{name: asked[name] for name in names if name in asked}, "Protocol": protocol}


def _health(group: Facts, ip: str, port: int, health: dict[str, str]) -> Facts:
    checked = group.get("HealthCheckPort", "traffic-port")
    return {
        "Target": {"Id": ip, "Port": port},
        "HealthCheckPort": str(port) if checked == "traffic-port" else checked,
        "TargetHealth": health,
    }
