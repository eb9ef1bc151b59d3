"""Opens the test port for this machine's public address while it runs checks, and closes it again.

One rule on the load balancer's own security group. Its tag says for which deployment it is: when the hook holds that
one no more, the rule is a remnant of somebody who was killed, and whoever comes by removes it. Groups of others are
never touched, nor are rules without the tag.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bgdeploy.aws import (
    CALLER_MARK,
    CALLER_TAG,
    STACK_TAG,
    Attrs,
    Aws,
    absent,
    sentence_of,
    tag_list,
    tag_map,
)
from bgdeploy.config import CALLER, Settings
from bgdeploy.errors import BgdeployError
from bgdeploy.names import Names
from bgdeploy.release import parse
from bgdeploy.release.phase import HELD
from bgdeploy.release.snapshot import Gate

CHECKIP = "https://checkip.amazonaws.com"  # AWS's own, and IPv4 alone
_PATIENCE = 5.0  # seconds of the machine's for its answer
_LONGEST_ANSWER = 64


@dataclass(frozen=True)
class Caller:
    """Whether the test port is opened for whoever runs the checks, and how it is known where they are."""

    wanted: bool = False
    address: str = ""  # as the config has it: an address or a CIDR
    service: str = CHECKIP  # where it is asked for otherwise

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str]) -> Caller:
        """Return what config and environment say."""
        test = settings.config.load_balancer.test
        service = environ.get("BGDEPLOY_CHECKIP_URL", CHECKIP)
        return cls(CALLER in test.allow, test.caller_address or "", service)

    def cidr(self) -> str:
        """Return whom to let in. Raises BgdeployError when that cannot be found out."""
        if self.address:
            return str(ipaddress.IPv4Network(self.address))
        said = _asked(self.service)
        try:
            found = ipaddress.ip_address(said)
        except ValueError:
            raise BgdeployError(f"{self.service} answered {said!r}, which is no address") from None
        if found.version != 4:
            raise BgdeployError(
                f"{self.service} sees this machine as {found}: the test port opens for IPv4 only"
            )
        return f"{found}/32"


NOBODY = Caller()


class Opening:
    """The test port, as far as it is opened for this machine on account of one deployment."""

    def __init__(self, aws: Aws, gate: Gate | None, deployment: str, caller: Caller) -> None:
        self._aws = aws
        self._gate = gate
        self._deployment = deployment
        self._caller = caller
        self.opened = False  # or perhaps: a call whose answer got lost may have done it

    def open(self) -> str:
        """Open the port if that is wanted, and return in words what came of it, "" when it is not wanted."""
        if not self._caller.wanted or self._gate is None:
            return ""
        try:
            return self._open(self._gate)
        except Exception as error:
            told = sentence_of(error)
            if told is None:
                raise
            return f"the test port could not be opened for this machine: {told.message}"

    def _open(self, gate: Gate) -> str:
        group = self._own_group(gate)
        if group is None:
            return (
                "the test port is not opened for this machine: the load balancer's security groups "
                "are not this stack's, and never changed"
            )
        cidr = self._caller.cidr()
        self.opened = True
        tags = {STACK_TAG: self._aws.stack, CALLER_TAG: self._deployment}
        # AWS knows a rule by protocol, ports and other side: who is let in already, by whatever rule, stays so.
        with absent("InvalidPermission.Duplicate"):
            self._aws.client("ec2").authorize_security_group_ingress(
                GroupId=group,
                IpPermissions=[
                    {
                        "IpProtocol": "tcp",
                        "FromPort": gate.port,
                        "ToPort": gate.port,
                        "IpRanges": [{"CidrIp": cidr, "Description": f"{CALLER_MARK}{self._deployment}"}],
                    }
                ],
                TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tag_list(tags)}],
            )
        return f"the test port is open for {cidr} while the checks run"

    def _own_group(self, gate: Gate) -> str | None:
        filters = [
            {"Name": "group-id", "Values": list(gate.security_groups)},
            {"Name": f"tag:{STACK_TAG}", "Values": [self._aws.stack]},
        ]
        found = self._aws.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
        return min((str(each["GroupId"]) for each in found), default=None)

    def close(self) -> None:
        """Close what was opened for this deployment, from wherever: only who holds the claim on its checks may ask."""
        if self.opened:
            _revoke(self._aws, _rules(self._aws, self._deployment))
            self.opened = False


def sweep(aws: Aws, names: Names) -> str:
    """Close what somebody who was killed has left open, and return in words what that was; "" when there is none."""
    stale = remnants(aws, names)
    _revoke(aws, stale)
    if not stale:
        return ""
    cidrs = ", ".join(sorted(each.get("CidrIpv4", "") for each in stale))
    return f"closed the test port for {cidrs}: checks that have ended had left it open"


def remnants(aws: Aws, names: Names) -> list[Attrs]:
    """Return the rules whose deployment is not held by its hook any more."""
    found = _rules(aws)
    held = {name: _held(aws, names, name) for name in {_deployment(each) for each in found}}
    return [each for each in found if not held[_deployment(each)]]


def _held(aws: Aws, names: Names, deployment: str) -> bool:
    """Tell whether the hook holds a deployment, so that somebody may be running its checks."""
    with absent("DeploymentDoesNotExistException", "InvalidDeploymentIdException"):
        found = aws.client("codedeploy").batch_get_deployment_targets(
            deploymentId=deployment, targetIds=[f"{names.plain}:{names.plain}"]
        )["deploymentTargets"]
        events = parse.events(found[0].get("ecsTarget")) if found else ()
        return any(event.name == HELD and event.status == "InProgress" for event in events)
    return False


def _rules(aws: Aws, deployment: str = "") -> list[Attrs]:
    """Return the rules that let callers in, all or those for one deployment."""
    whose = {"Name": f"tag:{CALLER_TAG}", "Values": [deployment]} if deployment else _ANY
    filters = [{"Name": f"tag:{STACK_TAG}", "Values": [aws.stack]}, whose]
    found = aws.client("ec2").describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    return list(found)


_ANY = {"Name": "tag-key", "Values": [CALLER_TAG]}


def _deployment(rule: Attrs) -> str:
    return tag_map(rule.get("Tags")).get(CALLER_TAG, "")


def _revoke(aws: Aws, rules: list[Attrs]) -> None:
    for rule in rules:
        with absent(
            "InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.NotFound", "InvalidGroup.NotFound"
        ):
            aws.client("ec2").revoke_security_group_ingress(
                GroupId=rule["GroupId"], SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
            )


def _asked(service: str) -> str:
    """Return what a service answers that tells callers their address. Raises BgdeployError without an answer."""
    import urllib3

    try:
        answer = urllib3.request("GET", service, timeout=_PATIENCE, retries=False, preload_content=False)
        said: Any = answer.read(_LONGEST_ANSWER)
        answer.close()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        why = f"{service} cannot be reached ({type(error).__name__})"
        raise BgdeployError(f"{why}, which tells its address") from error
    if answer.status != 200:
        raise BgdeployError(f"{service}, which tells its address, answered {answer.status}")
    return str(said.decode("ascii", "replace").strip())
