"""The version that somebody wants to release, and whether it is live or on its way already.

Not by its name alone: what counts is the task definition that a release would register, which holds the image's digest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bgdeploy.aws import Attrs, Aws
from bgdeploy.config import Settings
from bgdeploy.release import appspec, revision
from bgdeploy.release.image import Image, Images
from bgdeploy.release.reader import Reader
from bgdeploy.release.records import record
from bgdeploy.release.sides import VERSION_TAG


@dataclass(frozen=True)
class Wanted:
    """A version, and where its image comes from."""

    aws: Aws
    settings: Settings
    project: Path
    version: str
    image: str | None = None  # named by whoever wants it; None: the one that the version's tag means
    network: Callable[[], Attrs | None] = lambda: None  # where its tasks are to stand

    def in_flight(self, reader: Reader, deployment_id: str) -> bool:
        """Tell whether an active deployment releases just this."""
        key = record.key_of(reader.read(deployment_id).deployment.description)
        told = record.load(self.aws, reader.target.bucket, key) if key else None
        return told is not None and told.version == self.version and self._is(told.task_definition)

    def live(self, reader: Reader) -> str | None:
        """Return the task definition that is live when a release of this would change nothing, else None."""
        service = reader.sides.service()
        primary: Attrs = next(
            (one for one in service.get("taskSets") or () if one["status"] == "PRIMARY"), {}
        )
        if not primary or not self._is(primary["taskDefinition"]) or not self._whole(reader, primary):
            return None
        # Network and platform go out with a release and with nothing else.
        platform = self.settings.config.service.platform_version
        stays = platform in {"LATEST", primary.get("platformVersion", platform)}
        moved = appspec.moved(self.network(), service["networkConfiguration"]) if stays else {}
        return str(primary["taskDefinition"]) if moved is None else None

    def _whole(self, reader: Reader, primary: Attrs) -> bool:
        """Tell whether all of production's requests go to the tasks that hold it."""
        production, _ = reader.listeners()
        arns = [balancer.get("targetGroupArn") for balancer in primary.get("loadBalancers") or ()]
        groups = [name for name, arn in reader.target.target_groups.items() if arn in arns]
        weights = dict(production.weights) if production else {}
        return bool(groups) and sum(weights.values()) == weights.get(groups[0], 0) > 0

    def _is(self, task_definition: str) -> bool:
        actual, tags = revision.described(self.aws, task_definition)
        image = self._image() if tags.get(VERSION_TAG) == self.version else None
        if image is None:
            return False
        content = revision.build(self.settings, revision.place(self.aws, self.settings), image, self.version)
        return revision.is_of(actual, tags, content, self.version)

    def _image(self) -> Image | None:
        images = Images(self.aws, self.settings, self.project, lambda line: None)
        return images.given(self.image) if self.image else images.known(self.version)
