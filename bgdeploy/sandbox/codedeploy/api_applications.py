"""The operations on applications, deployment configs, revisions and tags."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bgdeploy.sandbox.codedeploy import configs
from bgdeploy.sandbox.codedeploy.model import Application, Config, Members, Revision, revision_key
from bgdeploy.sandbox.codedeploy.revisions import hidden, normalised
from bgdeploy.sandbox.codedeploy.store import Store, tag_map
from bgdeploy.sandbox.codedeploy.validate import check_name
from bgdeploy.sandbox.world import RefusedError

Params = Mapping[str, Any]


class ApplicationsApi:
    """Handlers; each gets the region's store, the request's members and the time, and returns the answer's."""

    def create_application(self, store: Store, params: Params, now: datetime) -> Members:
        name = params["applicationName"]
        check_name(name, "Application", "InvalidApplicationNameException")
        _must_be_new(store, name)
        application = Application(
            id=str(uuid.uuid4()),
            name=name,
            platform=params.get("computePlatform", "Server"),  # AWS's own default (aws-facts 5.1)
            created=now,
            tags=tag_map(params.get("tags")),
        )
        store.applications[name] = application
        return {"applicationId": application.id}

    def get_application(self, store: Store, params: Params, now: datetime) -> Members:
        return {"application": _application(store.application(params.get("applicationName")))}

    def batch_get_applications(self, store: Store, params: Params, now: datetime) -> Members:
        names = params["applicationNames"]
        limit_batch(names, 100, "application names")
        return {"applicationsInfo": [_application(store.application(name)) for name in names]}

    def list_applications(self, store: Store, params: Params, now: datetime) -> Members:
        return {"applications": sorted(store.applications)}

    def update_application(self, store: Store, params: Params, now: datetime) -> Members:
        application = store.application(params.get("applicationName"))
        new = params.get("newApplicationName")
        if new and new != application.name:
            check_name(new, "Application", "InvalidApplicationNameException")
            _must_be_new(store, new)
            _rename(store, application, new)
        return {}

    def list_deployment_configs(self, store: Store, params: Params, now: datetime) -> Members:
        return {"deploymentConfigsList": list(store.configs)}

    def get_deployment_config(self, store: Store, params: Params, now: datetime) -> Members:
        config = store.config(params["deploymentConfigName"])
        info = {
            "deploymentConfigId": config.id,
            "deploymentConfigName": config.name,
            "createTime": config.created,
            "computePlatform": config.platform,
            **config.members,
        }
        return {"deploymentConfigInfo": info}

    def create_deployment_config(self, store: Store, params: Params, now: datetime) -> Members:
        name = params["deploymentConfigName"]
        check_name(name, "Deployment config", "InvalidDeploymentConfigNameException")
        custom = len(store.configs) - len(configs.PREDEFINED)
        configs.check(params, custom)
        if name in store.configs:
            raise RefusedError(
                "DeploymentConfigAlreadyExistsException", f"Deployment configuration {name} already exists"
            )
        members = ("trafficRoutingConfig", "minimumHealthyHosts", "zonalConfig")
        store.configs[name] = Config(
            name=name,
            id=str(uuid.uuid4()),
            platform=params.get("computePlatform", "Server"),  # (aws-facts 5.4)
            created=now,
            members={member: params[member] for member in members if params.get(member)},
            increments=configs.increments(params.get("trafficRoutingConfig") or {}),
        )
        return {"deploymentConfigId": store.configs[name].id}

    def delete_deployment_config(self, store: Store, params: Params, now: datetime) -> Members:
        """Predefined configs stay, and so does one that a group uses (aws-facts 5.4); the absent is no error."""
        name = params["deploymentConfigName"]
        if name in configs.PREDEFINED:
            raise RefusedError("InvalidOperationException", f"The predefined config {name} cannot be deleted")
        groups = (group for one in store.applications.values() for group in one.groups.values())
        users = [group.name for group in groups if group.settings["deploymentConfigName"] == name]
        if users:
            raise RefusedError(
                "DeploymentConfigInUseException", f"{name} is used by the deployment group {users[0]}"
            )
        store.configs.pop(name, None)
        return {}

    def register_application_revision(self, store: Store, params: Params, now: datetime) -> Members:
        application = store.application(params.get("applicationName"))
        location = normalised(params["revision"])
        revision = Revision(location, now, params.get("description", ""))
        application.revisions.setdefault(revision_key(location), revision)
        return {}

    def get_application_revision(self, store: Store, params: Params, now: datetime) -> Members:
        application = store.application(params.get("applicationName"))
        revision = application.revisions.get(revision_key(params["revision"]))
        if revision is None:
            raise RefusedError(
                "RevisionDoesNotExistException", f"No such revision of the application {application.name}"
            )
        return {
            "applicationName": application.name,
            "revision": revision.location,
            "revisionInfo": _revision_info(revision),
        }

    def batch_get_application_revisions(self, store: Store, params: Params, now: datetime) -> Members:
        application = store.application(params.get("applicationName"))
        limit_batch(params["revisions"], 25, "revisions")
        found = [application.revisions.get(revision_key(one)) for one in params["revisions"]]
        return {
            "applicationName": application.name,
            "revisions": [
                {"revisionLocation": one.location, "genericRevisionInfo": _revision_info(one)}
                for one in found
                if one is not None
            ],
        }

    def list_application_revisions(self, store: Store, params: Params, now: datetime) -> Members:
        application = store.application(params.get("applicationName"))
        revisions = [one for one in application.revisions.values() if _selected(one, params)]
        order = {"firstUsedTime": "first_used", "lastUsedTime": "last_used"}
        attribute = order.get(params.get("sortBy", ""), "registered")
        never = datetime.min.replace(tzinfo=now.tzinfo)
        revisions.sort(
            key=lambda one: getattr(one, attribute) or never, reverse=params.get("sortOrder") == "descending"
        )
        return {"revisions": [hidden(one.location) for one in revisions]}

    def tag_resource(self, store: Store, params: Params, now: datetime) -> Members:
        store.tags(params["ResourceArn"]).update(tag_map(params["Tags"]))
        return {}

    def untag_resource(self, store: Store, params: Params, now: datetime) -> Members:
        tags = store.tags(params["ResourceArn"])
        for key in params["TagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags_for_resource(self, store: Store, params: Params, now: datetime) -> Members:
        tags = store.tags(params["ResourceArn"])
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def limit_batch(items: list[Any], limit: int, what: str) -> None:
    """Refuse a batch that is longer than AWS's limit for it."""
    if len(items) > limit:
        raise RefusedError("BatchLimitExceededException", f"At most {limit} {what} can be asked for at once")


def _must_be_new(store: Store, name: str) -> None:
    if name in store.applications:
        raise RefusedError("ApplicationAlreadyExistsException", f"Application already exists: {name}")


def _rename(store: Store, application: Application, new: str) -> None:
    del store.applications[application.name]
    application.name = new
    store.applications[new] = application
    for group in application.groups.values():
        group.application = new
        for deployment in store.deployments_of(group):
            deployment.application = new


def _application(application: Application) -> Members:
    return {
        "applicationId": application.id,
        "applicationName": application.name,
        "createTime": application.created,
        "linkedToGitHub": False,
        "computePlatform": application.platform,
    }


def _revision_info(revision: Revision) -> Members:
    info: Members = {
        "description": revision.description,
        "deploymentGroups": revision.groups,
        "registerTime": revision.registered,
    }
    used = {"firstUsedTime": revision.first_used, "lastUsedTime": revision.last_used}
    return {**info, **{name: time for name, time in used.items() if time is not None}}


def _selected(revision: Revision, params: Params) -> bool:
    deployed = {"include": True, "exclude": False}.get(params.get("deployed", ""))
    if deployed is not None and bool(revision.groups) is not deployed:
        return False
    place = revision.location.get("s3Location", {})
    bucket, prefix = params.get("s3Bucket"), params.get("s3KeyPrefix", "")
    return not bucket or (place.get("bucket") == bucket and str(place.get("key", "")).startswith(prefix))
