"""What was deployed before: the deployment group's deployments, and the AppSpec that each was made from."""

from __future__ import annotations

from collections.abc import Iterator

from bgdeploy.aws import Attrs, Aws
from bgdeploy.release.snapshot import Target

ROLLBACK = "codeDeployRollback"  # the creator of a deployment that rolls another one back (aws-facts 4.2)
_BATCH = 25  # deployments that BatchGetDeployments tells about


def deployments(aws: Aws, target: Target, *statuses: str) -> Iterator[Attrs]:
    """Yield the deployments of a target as GetDeployment describes them, the newest first: two calls for 25 of them.

    With `statuses`, only those that have one of them.
    """
    codedeploy = aws.client("codedeploy")
    only = {"includeOnlyStatuses": list(statuses)} if statuses else {}
    pages = codedeploy.get_paginator("list_deployments").paginate(
        applicationName=target.application, deploymentGroupName=target.group, **only
    )
    for page in pages:
        for start in range(0, len(page["deployments"]), _BATCH):
            idents = page["deployments"][start : start + _BATCH]
            found = codedeploy.batch_get_deployments(deploymentIds=idents)["deploymentsInfo"]
            yield from sorted(found, key=lambda info: info["createTime"], reverse=True)


def own_appspec(aws: Aws, info: Attrs) -> str | None:
    """Return the very text that a deployment was made from, None when it took that from elsewhere than its request.

    GetDeployment leaves it out, and tells the revision by which it is read (aws-facts 1.2).
    """
    revision = info.get("revision") or {}
    if revision.get("revisionType") not in {"AppSpecContent", "String"}:
        return None
    found = aws.client("codedeploy").get_application_revision(
        applicationName=info["applicationName"], revision=revision
    )["revision"]
    body = found.get("appSpecContent") or found.get("string") or {}
    content: str | None = body.get("content")
    return content
