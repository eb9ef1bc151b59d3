"""The operations on deployment groups."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bgdeploy.sandbox.codedeploy import ends, groups, surroundings, validate
from bgdeploy.sandbox.codedeploy.api_applications import limit_batch
from bgdeploy.sandbox.codedeploy.model import Group, Members, service_names
from bgdeploy.sandbox.codedeploy.ports import Ports
from bgdeploy.sandbox.codedeploy.store import Store, tag_map
from bgdeploy.sandbox.codedeploy.unverified import Unverified
from bgdeploy.sandbox.world import RefusedError

Params = Mapping[str, Any]


class GroupsApi:
    """Handlers; each gets the region's store, the request's members and the time, and returns the answer's."""

    def __init__(self, ports: Callable[[], Ports], unverified: Unverified) -> None:
        self._ports = ports
        self._unverified = unverified

    def create_deployment_group(self, store: Store, params: Params, now: datetime) -> Members:
        application = store.application(params.get("applicationName"))
        name = params["deploymentGroupName"]
        validate.check_name(name, "Deployment group", "InvalidDeploymentGroupNameException")
        if name in application.groups:
            raise _exists(name)
        settings = self._checked(
            store, application.platform, groups.merged({}, params, self._unverified), None
        )
        group = Group(str(uuid.uuid4()), application.name, name, settings, tag_map(params.get("tags")))
        application.groups[name] = group
        if self._unverified.group_creation_rewrites_listener:
            surroundings.rewrite_production_listener(settings, store.region, self._ports())
        return {"deploymentGroupId": group.id}

    def update_deployment_group(self, store: Store, params: Params, now: datetime) -> Members:
        """Change a group. A deployment under way keeps the settings it began with (aws-facts 5.5)."""
        application = store.application(params.get("applicationName"))
        group = store.group(application.name, params.get("currentDeploymentGroupName"))
        new = params.get("newDeploymentGroupName") or group.name
        validate.check_name(new, "Deployment group", "InvalidDeploymentGroupNameException")
        if new != group.name and new in application.groups:
            raise _exists(new)
        settings = groups.merged(group.settings, params, self._unverified)
        group.settings = self._checked(store, application.platform, settings, group)
        if new != group.name:
            application.groups[new] = application.groups.pop(group.name)
            group.name = new
            for deployment in store.deployments_of(group):
                deployment.group = new
        return {"hooksNotCleanedUp": []}

    def get_deployment_group(self, store: Store, params: Params, now: datetime) -> Members:
        group = store.group(params.get("applicationName"), params.get("deploymentGroupName"))
        return {"deploymentGroupInfo": groups.render(group, store.deployments_of(group))}

    def batch_get_deployment_groups(self, store: Store, params: Params, now: datetime) -> Members:
        application = store.application(params.get("applicationName"))
        names = params["deploymentGroupNames"]
        limit_batch(names, 100, "deployment groups")
        found = [application.groups[name] for name in names if name in application.groups]
        missing = [name for name in names if name not in application.groups]
        answer: Members = {
            "deploymentGroupsInfo": [groups.render(one, store.deployments_of(one)) for one in found]
        }
        if missing:
            answer["errorMessage"] = f"No Deployment Group found for name: {', '.join(missing)}"
        return answer

    def list_deployment_groups(self, store: Store, params: Params, now: datetime) -> Members:
        application = store.application(params.get("applicationName"))
        return {"applicationName": application.name, "deploymentGroups": sorted(application.groups)}

    def delete_deployment_group(self, store: Store, params: Params, now: datetime) -> Members:
        """Delete a group; one that is not there is no error (aws-facts 5.5)."""
        application = store.applications.get(params.get("applicationName", ""))
        group = application.groups.pop(params["deploymentGroupName"], None) if application else None
        if group is not None:
            _abandon(store, group)
        return {"hooksNotCleanedUp": []}

    def delete_application(self, store: Store, params: Params, now: datetime) -> Members:
        """Delete an application and its groups; one that is not there is no error (aws-facts 5.5)."""
        application = store.applications.pop(params["applicationName"], None)
        for group in application.groups.values() if application else ():
            _abandon(store, group)
        return {}

    def _checked(self, store: Store, platform: str, settings: Members, group: Group | None) -> Members:
        """Return the settings completed, when they pass every rule of aws-facts 5.2."""
        validate.check_group(settings, platform, self._unverified)
        config = store.config(settings["deploymentConfigName"])
        surroundings.check(settings, config, store.region, self._ports(), self._unverified)
        cluster, service = service_names(settings)
        other = store.group_of_service(cluster, service)
        if other is not None and other is not group:
            raise RefusedError(
                "ECSServiceMappingLimitExceededException",
                self._unverified.mapping_limit_message.format(service=service, group=other.name),
            )
        return groups.completed(settings)


def _abandon(store: Store, group: Group) -> None:
    """A deployment that had not begun fails with its group; one under way has all it needs and goes on."""
    for deployment in store.deployments_of(group):
        if deployment.status == "Created" and deployment.rolls_back is None:
            deployment.interruption = ends.group_missing(group.name)


def _exists(name: str) -> RefusedError:
    return RefusedError("DeploymentGroupAlreadyExistsException", f"Deployment group already exists: {name}")
