"""The part of the sandbox that is Elastic Load Balancing v2."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bgdeploy.sandbox.elb import validate
from bgdeploy.sandbox.elb.addresses import Addresses
from bgdeploy.sandbox.world import PASS, Call, Handler, RefusedError, World, _Pass

_URL_TAG = "bgdeploy:url"
_DELAY = "deregistration_delay.timeout_seconds"
# Whatever changes who may reach what, or who stands behind it.
_ELB_CHANGES = (
    "CreateRule",
    "ModifyRule",
    "DeleteRule",
    "DeleteListener",
    "SetSecurityGroups",
    "SetSubnets",
    "ModifyTargetGroup",
    "ModifyTargetGroupAttributes",
    "ModifyLoadBalancerAttributes",
)
_EC2_CHANGES = ("AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress", "ModifySecurityGroupRules")


@dataclass
class Target:
    """Something registered in a target group."""

    ip: str
    port: int
    endpoint: tuple[str, int] | None  # where it really listens
    state: str = "initial"
    reason: str = "Elb.RegistrationInProgress"
    detail: str = "Target registration is in progress"
    leaves: datetime | None = None  # while draining: when the deregistration delay is over

    @property
    def id(self) -> str:
        return f"{self.ip}:{self.port}"


@dataclass(frozen=True)
class GroupView:
    """What other parts may know of a target group."""

    arn: str
    name: str
    load_balancers: tuple[str, ...]


@dataclass(frozen=True)
class ListenerView:
    """What other parts may know of a listener."""

    arn: str
    load_balancer: str
    port: int
    protocol: str


@dataclass
class _Process:
    """The balancer process, and what it has told."""

    process: subprocess.Popen[str]
    told: queue.SimpleQueue[dict[str, Any]] = field(default_factory=queue.SimpleQueue)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.put(json.loads(line))


class Elb:
    """Load balancers that carry real traffic to real targets."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._targets: dict[str, dict[str, Target]] = {}
        self._addresses = Addresses()
        self._regions: set[str] = set()
        self._dirty = False
        self._used: dict[str, tuple[str, ...]] = {}  # target group → load balancers; true while not dirty
        self._balancer: _Process | None = None

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        ours: dict[str, Handler] = {
            "CreateLoadBalancer": self._create_load_balancer,
            "DescribeLoadBalancers": self._describe_load_balancers,
            "DeleteLoadBalancer": self._delete_load_balancer,
            "CreateTargetGroup": self._create_target_group,
            "DeleteTargetGroup": self._delete_target_group,
            "CreateListener": self._create_listener,
            "ModifyListener": self._modify_listener,
            "DescribeListeners": self._describe_listeners,
            "RegisterTargets": self._register_targets,
            "DeregisterTargets": self._deregister_targets,
            "DescribeTargetHealth": self._describe_target_health,
        }
        ours |= dict.fromkeys(_ELB_CHANGES, self._touch)
        watched: dict[tuple[str, str], Handler] = {("ec2", name): self._touch for name in _EC2_CHANGES}
        return {("elbv2", name): handler for name, handler in ours.items()} | watched

    def tick(self) -> None:
        """Take in what the balancer found out, let drained targets go, and push what has changed."""
        if self._balancer is not None:
            with contextlib.suppress(queue.Empty):
                while True:
                    self._learn(self._balancer.told.get_nowait())
        now = self._world.clock.now()
        for targets in self._targets.values():
            for ident in [
                i for i, target in targets.items() if target.leaves is not None and target.leaves <= now
            ]:
                del targets[ident]
                self._dirty = True
        if self._dirty:
            self._push()

    def close(self) -> None:
        if self._balancer is not None:
            with contextlib.suppress(OSError):
                self._balancer.process.stdin.close()  # type: ignore[union-attr]
            self._balancer.process.wait(timeout=10)
        self._addresses.close()

    # For the other parts

    def target_group(self, name_or_arn: str, region: str) -> GroupView | None:
        """Return the target group called so, None when there is none such."""
        for group in self._moto(region).describe_target_groups()["TargetGroups"]:
            if name_or_arn in (group["TargetGroupName"], group["TargetGroupArn"]):
                return GroupView(
                    group["TargetGroupArn"],
                    group["TargetGroupName"],
                    tuple(group.get("LoadBalancerArns", ())) or self._behind(group["TargetGroupArn"]),
                )
        return None

    def listener(self, arn: str) -> ListenerView | None:
        """Return the listener, None when there is none such."""
        found = self._listener(arn)
        if found is None:
            return None
        return ListenerView(arn, found["LoadBalancerArn"], found["Port"], found["Protocol"])

    def forwards(self, listener_arn: str) -> list[dict[str, int]]:
        """Return the weighted forwards of the listener: the default action's, then each rule's."""
        found = [validate.weights(self._require(listener_arn)["DefaultActions"])]
        found += [validate.weights(rule["Actions"]) for rule in self._rules(listener_arn)]
        return [weights for weights in found if weights]

    def set_weights(self, listener_arn: str, weights: Mapping[str, int]) -> None:
        """Rewrite the default action, and every rule that forwards to one of these groups (aws-facts 7.2)."""
        moto = self._moto(_region(listener_arn))
        actions = [
            {
                "Type": "forward",
                "ForwardConfig": {
                    "TargetGroups": [
                        {"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()
                    ],
                    "TargetGroupStickinessConfig": {"Enabled": False},
                },
            }
        ]
        moto.modify_listener(ListenerArn=listener_arn, DefaultActions=actions)
        for rule in self._rules(listener_arn):
            if validate.weights(rule["Actions"]).keys() & weights.keys():
                moto.modify_rule(RuleArn=rule["RuleArn"], Actions=actions)
        self._dirty = True

    def register(self, group_arn: str, ip: str, port: int, endpoint: tuple[str, int] | None) -> None:
        """Register a target; it is healthy after its first successful check."""
        target = Target(ip, port, endpoint)
        self._targets.setdefault(group_arn, {})[target.id] = target
        self._regions.add(_region(group_arn))
        self._dirty = True

    def deregister(self, group_arn: str, ip: str, port: int) -> None:
        """Let a target drain for the group's deregistration delay, then forget it."""
        target = self._targets.get(group_arn, {}).get(f"{ip}:{port}")
        if target is None or target.leaves is not None:
            return
        target.state, target.reason = "draining", "Target.DeregistrationInProgress"
        target.detail = "Target deregistration is in progress"
        target.leaves = self._world.clock.now() + timedelta(seconds=self._delay(group_arn))
        self._dirty = True

    def health(self, group_arn: str, ip: str, port: int) -> str:
        """Return initial, healthy, unhealthy, draining or unused."""
        target = self._targets.get(group_arn, {}).get(f"{ip}:{port}")
        if target is None:
            return "unused"
        return self._told(group_arn, target)["State"]

    def gone(self, group_arn: str, ip: str, port: int) -> bool:
        """Tell whether a target has left, its deregistration delay over."""
        return f"{ip}:{port}" not in self._targets.get(group_arn, {})

    # Operations

    def _touch(self, call: Call) -> _Pass:
        self._regions.add(call.region)
        self._dirty = True
        return PASS

    def _create_load_balancer(self, call: Call) -> dict[str, Any]:
        subnets = call.params.get("Subnets") or [m["SubnetId"] for m in call.params.get("SubnetMappings", [])]
        found = self._world.beneath("ec2", region=call.region).describe_subnets(SubnetIds=subnets)["Subnets"]
        validate.check_subnets([subnet["AvailabilityZone"] for subnet in found], len(subnets))
        self._touch(call)
        made = self._forwarded(call)
        return {**made, "LoadBalancers": [self._named(each) for each in made["LoadBalancers"]]}

    def _describe_load_balancers(self, call: Call) -> dict[str, Any]:
        found = self._forwarded(call)
        return {**found, "LoadBalancers": [self._named(each) for each in found["LoadBalancers"]]}

    def _delete_load_balancer(self, call: Call) -> _Pass:
        self._addresses.release(call.params["LoadBalancerArn"])
        return self._touch(call)

    def _create_target_group(self, call: Call) -> dict[str, Any] | _Pass:
        """A second creation with the same settings returns the first (aws-facts 7.4)."""
        name = call.params["Name"]
        groups = self._moto(call.region).describe_target_groups()["TargetGroups"]
        existing = next((group for group in groups if group["TargetGroupName"] == name), None)
        if existing is None:
            return self._touch(call)
        same = {key: value for key, value in validate.settings_of(call.params).items() if key != "Name"}
        if any(existing.get(key) != value for key, value in same.items()):
            message = f"A target group with the same name '{name}' exists, but with different settings"
            raise RefusedError("DuplicateTargetGroupNameException", message)
        return {"TargetGroups": [existing]}

    def _delete_target_group(self, call: Call) -> _Pass:
        arn = call.params["TargetGroupArn"]
        if self._behind(arn):
            message = f"Target group '{arn}' is currently in use by a listener or a rule"
            raise RefusedError("ResourceInUseException", message)
        self._targets.pop(arn, None)
        return self._touch(call)

    def _create_listener(self, call: Call) -> dict[str, Any]:
        balancer, port = call.params["LoadBalancerArn"], call.params["Port"]
        moto = self._moto(call.region)
        validate.check_port(moto.describe_listeners(LoadBalancerArn=balancer)["Listeners"], port)
        validate.check_actions(call.params["DefaultActions"], self._known(call.region), balancer)
        self._touch(call)
        made = self._forwarded(call)["Listeners"]
        host, real = self._addresses.endpoint(balancer, port)
        if real != port:
            moto.add_tags(
                ResourceArns=[made[0]["ListenerArn"]],
                Tags=[{"Key": _URL_TAG, "Value": f"http://{host}:{real}"}],
            )
        return {"Listeners": [_http(validate.echoed(each)) for each in made]}

    def _modify_listener(self, call: Call) -> dict[str, Any]:
        current = self._require(call.params["ListenerArn"])
        if "DefaultActions" in call.params:
            validate.check_actions(
                call.params["DefaultActions"], self._known(call.region), current["LoadBalancerArn"]
            )
        self._touch(call)
        return {"Listeners": [_http(validate.echoed(each)) for each in self._forwarded(call)["Listeners"]]}

    def _describe_listeners(self, call: Call) -> dict[str, Any]:
        found = self._forwarded(call)
        return {**found, "Listeners": [_http(validate.echoed(each)) for each in found["Listeners"]]}

    def _register_targets(self, call: Call) -> dict[str, Any]:
        group = self._group(call)
        for asked in call.params["Targets"]:
            self.register(
                group["TargetGroupArn"], asked["Id"], asked.get("Port", group.get("Port", 80)), None
            )
        return {}

    def _deregister_targets(self, call: Call) -> dict[str, Any]:
        group = self._group(call)
        for asked in call.params["Targets"]:
            self.deregister(group["TargetGroupArn"], asked["Id"], asked.get("Port", group.get("Port", 80)))
        return {}

    def _describe_target_health(self, call: Call) -> dict[str, Any]:
        group = self._group(call)
        arn, path_port = group["TargetGroupArn"], group.get("HealthCheckPort", "traffic-port")
        targets = list(self._targets.get(arn, {}).values())
        asked = call.params.get("Targets")
        if asked:
            wanted = {f"{each['Id']}:{each.get('Port', group.get('Port', 80))}" for each in asked}
            absent = [
                Target(
                    *_split(ident),
                    None,
                    "unused",
                    "Target.NotRegistered",
                    "Target is not registered to the target group",
                )
                for ident in wanted - {target.id for target in targets}
            ]
            targets = [target for target in targets if target.id in wanted] + absent
        return {
            "TargetHealthDescriptions": [
                {
                    "Target": {"Id": target.ip, "Port": target.port},
                    "HealthCheckPort": str(target.port) if path_port == "traffic-port" else path_port,
                    "TargetHealth": self._told(arn, target),
                }
                for target in targets
            ]
        }

    def _told(self, group_arn: str, target: Target) -> dict[str, str]:
        if target.leaves is None and target.reason != "Target.NotRegistered" and not self._behind(group_arn):
            return {
                "State": "unused",
                "Reason": "Target.NotInUse",
                "Description": "Target group is not configured to receive traffic from the load balancer",
            }
        told = {"State": target.state, "Reason": target.reason, "Description": target.detail}
        return {name: value for name, value in told.items() if value}

    # What moto keeps

    def _moto(self, region: str) -> Any:
        return self._world.beneath("elbv2", region=region)

    def _forwarded(self, call: Call) -> dict[str, Any]:
        """Return moto's own answer to `call`."""
        from botocore import xform_name
        from botocore.exceptions import ClientError

        try:
            answer: dict[str, Any] = getattr(self._moto(call.region), xform_name(call.operation))(
                **call.params
            )
        except ClientError as error:
            raise RefusedError(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error
        answer.pop("ResponseMetadata")
        return answer

    def _named(self, balancer: dict[str, Any]) -> dict[str, Any]:
        return {**balancer, "DNSName": self._addresses.take(balancer["LoadBalancerArn"])}

    def _listener(self, arn: str) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        try:
            found: list[dict[str, Any]] = self._moto(_region(arn)).describe_listeners(ListenerArns=[arn])[
                "Listeners"
            ]
        except ClientError:
            return None
        return found[0] if found else None

    def _require(self, arn: str) -> dict[str, Any]:
        found = self._listener(arn)
        if found is None:
            raise RefusedError("ListenerNotFoundException", f"Listener '{arn}' not found")
        return found

    def _rules(self, listener_arn: str) -> list[dict[str, Any]]:
        rules = self._moto(_region(listener_arn)).describe_rules(ListenerArn=listener_arn)["Rules"]
        return [rule for rule in rules if not rule["IsDefault"]]

    def _group(self, call: Call) -> dict[str, Any]:
        arn = call.params["TargetGroupArn"]
        for group in self._moto(call.region).describe_target_groups()["TargetGroups"]:
            if group["TargetGroupArn"] == arn:
                return dict(group)
        raise RefusedError("TargetGroupNotFoundException", f"Target groups '{arn}' not found")

    def _delay(self, group_arn: str) -> int:
        attributes = self._moto(_region(group_arn)).describe_target_group_attributes(TargetGroupArn=group_arn)
        return next((int(each["Value"]) for each in attributes["Attributes"] if each["Key"] == _DELAY), 300)

    def _known(self, region: str) -> dict[str, tuple[str, ...]]:
        groups = self._moto(region).describe_target_groups()["TargetGroups"]
        return {group["TargetGroupArn"]: self._behind(group["TargetGroupArn"]) for group in groups}

    def _behind(self, group_arn: str) -> tuple[str, ...]:
        """Return the load balancers with a listener or rule that forwards to the group, whatever its weight."""
        used = self._uses(_region(group_arn)) if self._dirty else self._used
        return used.get(group_arn, ())

    def _uses(self, region: str) -> dict[str, tuple[str, ...]]:
        used: dict[str, tuple[str, ...]] = {}
        for listener in self._listeners(region):
            rules = [rule["Actions"] for rule in self._rules(listener["ListenerArn"])]
            for actions in (listener["DefaultActions"], *rules):
                for group in validate.weights(actions):
                    used[group] = tuple(dict.fromkeys((*used.get(group, ()), listener["LoadBalancerArn"])))
        return used

    def _listeners(self, region: str) -> list[dict[str, Any]]:
        moto = self._moto(region)
        return [
            listener
            for balancer in moto.describe_load_balancers()["LoadBalancers"]
            for listener in moto.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        ]

    # The balancer process

    def _learn(self, told: Mapping[str, Any]) -> None:
        if "failed" in told:
            return
        target = self._targets.get(told["group"], {}).get(told["target"])
        if target is not None and target.leaves is None:
            target.state, target.reason, target.detail = told["state"], told["reason"], told["detail"]

    def _push(self) -> None:
        self._dirty = False
        wanted: dict[str, Any] = {"listeners": [], "groups": {}}
        self._used = {}
        for region in self._regions:
            self._used |= self._uses(region)
            wanted["listeners"] += self._wanted_listeners(region)
            wanted["groups"] |= self._wanted_groups(region)
        if self._balancer is None:
            if not wanted["listeners"]:
                return
            self._balancer = self._start()
        stdin = self._balancer.process.stdin
        assert stdin is not None
        stdin.write(json.dumps(wanted) + "\n")
        stdin.flush()

    def _start(self) -> _Process:
        process = subprocess.Popen(
            [sys.executable, "-m", "bgdeploy.sandbox.balancer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        balancer = _Process(process)
        threading.Thread(target=balancer.listen, name="balancer", daemon=True).start()
        return balancer

    def _wanted_listeners(self, region: str) -> list[dict[str, Any]]:
        balancers = {
            each["LoadBalancerArn"]: each
            for each in self._moto(region).describe_load_balancers()["LoadBalancers"]
        }
        wanted = []
        for listener in self._listeners(region):
            arn, port = listener["LoadBalancerArn"], listener["Port"]
            host, real = self._addresses.endpoint(arn, port)
            wanted.append(
                {
                    "arn": listener["ListenerArn"],
                    "host": host,
                    "port": real,
                    "reachable": self._reachable(balancers[arn], port, region),
                    "weights": list(validate.weights(listener["DefaultActions"]).items()),
                }
            )
        return wanted

    def _wanted_groups(self, region: str) -> dict[str, Any]:
        speed = self._world.settings.speed
        wanted = {}
        for group in self._moto(region).describe_target_groups()["TargetGroups"]:
            arn = group["TargetGroupArn"]
            targets = [
                {
                    "id": target.id,
                    "host": target.endpoint[0],
                    "port": target.endpoint[1],
                    "draining": target.leaves is not None,
                }
                for target in self._targets.get(arn, {}).values()
                if target.endpoint is not None
            ]
            health = {
                "path": group.get("HealthCheckPath", "/"),
                "matcher": group.get("Matcher", {}).get("HttpCode", "200"),
                "interval": group.get("HealthCheckIntervalSeconds", 30) / speed,
                "timeout": group.get("HealthCheckTimeoutSeconds", 5) / speed,
                "healthy": group.get("HealthyThresholdCount", 5),
                "unhealthy": group.get("UnhealthyThresholdCount", 2),
            }
            wanted[arn] = {"health": health, "targets": targets}
        return wanted

    def _reachable(self, balancer: Mapping[str, Any], port: int, region: str) -> bool:
        """Tell whether the load balancer's security groups let the sandbox's caller in on `port`."""
        groups = balancer.get("SecurityGroups") or []
        if not groups:
            return True
        ec2 = self._world.beneath("ec2", region=region)
        caller = self._caller(ec2, balancer["VpcId"])
        for group in ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"]:
            for rule in group["IpPermissions"]:
                ranges = [ipaddress.ip_network(each["CidrIp"]) for each in rule.get("IpRanges", [])]
                if _covers(rule, port) and any(caller in network for network in ranges):
                    return True
        return False

    def _caller(self, ec2: Any, vpc: str) -> ipaddress.IPv4Address:
        named = self._world.settings.caller
        if named != "vpc":
            return ipaddress.IPv4Address(named)
        cidr = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["CidrBlock"]
        return ipaddress.IPv4Network(cidr)[10]


def _covers(rule: Mapping[str, Any], port: int) -> bool:
    if rule["IpProtocol"] == "-1":
        return True
    first, last = int(rule.get("FromPort", 0)), int(rule.get("ToPort", 65535))
    return rule["IpProtocol"] == "tcp" and first <= port <= last


def _region(arn: str) -> str:
    return arn.split(":")[3]


def _split(ident: str) -> tuple[str, int]:
    ip, _, port = ident.rpartition(":")
    return ip, int(port)


def _http(listener: dict[str, Any]) -> dict[str, Any]:
    """Return a listener without the TLS settings that moto gives to plain HTTP."""
    if listener.get("Protocol") != "HTTP":
        return listener
    return {
        name: value
        for name, value in listener.items()
        if name not in {"SslPolicy", "AlpnPolicy", "Certificates"}
    }
