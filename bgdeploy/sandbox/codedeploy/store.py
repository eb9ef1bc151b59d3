"""Everything CodeDeploy remembers of one region, and how it is found: by name, by id, by ARN."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bgdeploy.sandbox.codedeploy import configs
from bgdeploy.sandbox.codedeploy.model import Application, Config, Deployment, Group
from bgdeploy.sandbox.world import ACCOUNT, RefusedError

_DEPLOYMENT_ID = re.compile(r"d-[A-Z0-9]{9}")


@dataclass
class Store:
    """One region's applications, configs and deployments; the newest deployment is the last."""

    region: str
    configs: dict[str, Config]
    applications: dict[str, Application] = field(default_factory=dict)
    deployments: dict[str, Deployment] = field(default_factory=dict)

    @classmethod
    def fresh(cls, region: str, now: datetime) -> Store:
        """Return the store of a region in which nobody has done anything: it has the predefined configs."""
        predefined = {
            name: Config(
                name=name,
                id=str(uuid.uuid4()),
                platform="ECS",
                created=now,
                members={"trafficRoutingConfig": dict(routing)},
                increments=configs.increments(routing),
            )
            for name, routing in configs.PREDEFINED.items()
        }
        return cls(region, predefined)

    def application(self, name: str | None) -> Application:
        if not name:
            raise RefusedError("ApplicationNameRequiredException", "Application name is missing")
        if name not in self.applications:
            raise RefusedError("ApplicationDoesNotExistException", f"No application found for name: {name}")
        return self.applications[name]

    def group(self, application: str | None, name: str | None) -> Group:
        groups = self.application(application).groups
        if not name:
            raise RefusedError("DeploymentGroupNameRequiredException", "Deployment group name is missing")
        if name not in groups:
            raise RefusedError(
                "DeploymentGroupDoesNotExistException", f"No Deployment Group found for name: {name}"
            )
        return groups[name]

    def config(self, name: str) -> Config:
        if name not in self.configs:
            raise RefusedError(
                "DeploymentConfigDoesNotExistException", f"No Deployment Configuration found for name: {name}"
            )
        return self.configs[name]

    def deployment(self, params: Mapping[str, Any]) -> Deployment:
        """Return the deployment that a request names by `deploymentId`."""
        identity = params.get("deploymentId")
        if not identity:
            raise RefusedError("DeploymentIdRequiredException", "Deployment ID is missing")
        if not _DEPLOYMENT_ID.fullmatch(identity):
            raise RefusedError(
                "InvalidDeploymentIdException",
                f"Specified DeploymentId is not in the valid format: {identity}",
            )
        if identity not in self.deployments:
            raise RefusedError(
                "DeploymentDoesNotExistException", f"The deployment {identity} could not be found"
            )
        return self.deployments[identity]

    def deployments_of(self, group: Group) -> list[Deployment]:
        """Return the group's deployments, the newest first."""
        return [one for one in reversed(self.deployments.values()) if one.group_id == group.id]

    def group_of_service(self, cluster: str, service: str) -> Group | None:
        """Return the group that deploys to an ECS service: there is at most one (aws-facts 5.2)."""
        groups = (
            group for application in self.applications.values() for group in application.groups.values()
        )
        return next((group for group in groups if group.service == (cluster, service)), None)

    @property
    def _stem(self) -> str:
        return f"arn:aws:codedeploy:{self.region}:{ACCOUNT}:"

    def all_tags(self) -> dict[str, dict[str, str]]:
        """Return the tags of every application and deployment group, by ARN."""
        found = {}
        for application in self.applications.values():
            found[f"{self._stem}application:{application.name}"] = dict(application.tags)
            for name, group in application.groups.items():
                found[f"{self._stem}deploymentgroup:{application.name}/{name}"] = dict(group.tags)
        return found

    def tags(self, arn: str) -> dict[str, str]:
        """Return the tags of the application or deployment group that has this ARN, to be read or changed."""
        if not arn.startswith("arn:"):
            raise RefusedError("InvalidArnException", f"The specified ARN is not in a valid format: {arn}")
        kind, _, name = arn.removeprefix(self._stem).partition(":")
        if kind == "application":
            return self.application(name).tags
        if kind == "deploymentgroup":
            return self.group(*name.partition("/")[::2]).tags
        raise RefusedError("ArnNotSupportedException", f"The specified ARN is not supported: {arn}")


def tag_map(tags: list[Mapping[str, str]] | None) -> dict[str, str]:
    """Return a request's list of tags as a dict."""
    return {tag.get("Key", ""): tag.get("Value", "") for tag in tags or []}
