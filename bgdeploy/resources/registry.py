"""The image repository. Tags are immutable: what was released as v1 stays v1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bgdeploy.aws import Attrs, Aws, absent, tag_list, tag_map
from bgdeploy.provision.resource import TAGS, Known, Look, Resource
from bgdeploy.resources.tagging import tags_of


@dataclass(frozen=True, eq=False, kw_only=True)
class Repository(Resource):
    """An ECR repository."""

    kind = "repository"
    taken = frozenset({"RepositoryAlreadyExistsException"})

    def desired(self, known: Known) -> Attrs:
        return {"imageTagMutability": "IMMUTABLE", "imageScanningConfiguration": {"scanOnPush": True}}

    def find(self, look: Look) -> Attrs | None:
        ecr = look.aws.client("ecr")
        with absent("RepositoryNotFoundException"):
            found = dict(ecr.describe_repositories(repositoryNames=[self.name])["repositories"][0])
            arn = found["repositoryArn"]
            tags = tags_of(
                look,
                arn,
                self.tags(look.aws),
                lambda: tag_map(ecr.list_tags_for_resource(resourceArn=arn)["tags"]),
            )
            return {**found, TAGS: tags}
        return None

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        made = aws.client("ecr").create_repository(
            repositoryName=self.name, tags=tag_list(self.tags(aws)), **desired
        )
        return dict(made["repository"])

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        ecr = aws.client("ecr")
        if "imageTagMutability" in changed:
            ecr.put_image_tag_mutability(
                repositoryName=self.name, imageTagMutability=changed["imageTagMutability"]
            )
        if "imageScanningConfiguration" in changed:
            scanning = changed["imageScanningConfiguration"]
            ecr.put_image_scanning_configuration(
                repositoryName=self.name, imageScanningConfiguration=scanning
            )
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        aws.client("ecr").tag_resource(resourceArn=actual["repositoryArn"], tags=tag_list(tags))

    def delete(self, aws: Aws, actual: Attrs) -> None:
        with absent("RepositoryNotFoundException"):
            aws.client("ecr").delete_repository(repositoryName=self.name, force=True)
