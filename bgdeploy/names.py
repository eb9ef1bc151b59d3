"""What everything of a stack is called. Names are the identity of what AWS keeps unique, so they stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Colour = Literal["blue", "green"]
Use = Literal["codedeploy", "execution", "task", "hook"]

# The version of what a service is started on, before anything is released.
PLACEHOLDER = "bootstrap"

# Target group and load balancer names end at 32 characters, and the longest suffix here is "-green".
LONGEST_STACK_NAME = 26


@dataclass(frozen=True)
class Names:
    """The names of one stack's parts, all derived from the stack's own."""

    stack: str

    @property
    def plain(self) -> str:
        """The name shared by all that need no suffix: cluster, service, application, deployment group, …"""
        return self.stack

    def target_group(self, colour: Colour) -> str:
        return f"{self.stack}-{colour}"

    def bucket(self, account: str, region: str) -> str:
        """Bucket names are shared by all accounts, so account and region make ours our own."""
        return f"{self.stack}-{account}-{region}"

    def alarm(self, name: str) -> str:
        return f"{self.stack}-{name}"

    def role(self, use: Use) -> str:
        return f"{self.stack}-{use}"

    @property
    def log_group(self) -> str:
        return f"/ecs/{self.stack}"

    @property
    def hook(self) -> str:
        """AWSCodeDeployRoleForECSLimited may only invoke functions whose names begin like this."""
        return f"CodeDeployHook_{self.stack}"

    @property
    def hook_log_group(self) -> str:
        return f"/aws/lambda/{self.hook}"

    @property
    def metric_namespace(self) -> str:
        return f"bgdeploy/{self.stack}"
