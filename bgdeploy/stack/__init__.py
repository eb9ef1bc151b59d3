"""The topology: from a project's config to the list of resources it needs, top to bottom. Start reading here."""

from __future__ import annotations

from pathlib import Path

from bgdeploy.aws import Attrs, Aws
from bgdeploy.config import Settings
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.registry import Repository
from bgdeploy.resources.storage import Bucket
from bgdeploy.stack.balancing import balancing
from bgdeploy.stack.deploying import deploying
from bgdeploy.stack.identity import Arns, identities
from bgdeploy.stack.network import network
from bgdeploy.stack.observing import observing
from bgdeploy.stack.service import service, wanted_network


def build(settings: Settings, project: Path, account: str, region: str) -> list[Resource]:
    """Return every resource of the stack, each after those it needs."""
    config, names = settings.config, settings.names
    arns = Arns(names, account, region)
    bucket = Bucket(name=names.bucket(account, region))
    repository = Repository(name=names.plain)

    net = network(config, names, bucket)
    balanced = balancing(config, names, net)
    watched = observing(config, names, balanced)
    roles = identities(config, names, arns, bucket, balanced.path)
    served = service(settings, net, balanced, watched, roles)
    deployed = deploying(settings, project, bucket, net, balanced, watched, roles, served)

    return [
        bucket,
        repository,
        *net.resources,
        *balanced.resources,
        *watched.resources,
        *roles.resources,
        *served.resources,
        *deployed,
    ]


def task_network(aws: Aws, settings: Settings, project: Path) -> Attrs | None:
    """Return where the config wants the tasks to stand, in ECS's words; None while not all of that is there."""
    return wanted_network(aws, build(settings, project, aws.account, aws.region))
