"""The deployment config that a release moves its traffic by: CodeDeploy's own, the stack's, or one that is named."""

from __future__ import annotations

from bgdeploy.aws import Attrs, Aws, absent, error_code
from bgdeploy.errors import BgdeployError, UsageError
from bgdeploy.strategy import Strategy, parse


def asked(strategy: str) -> Strategy:
    """Return the strategy that somebody wrote. Raises UsageError with everything that is wrong with it."""
    try:
        return parse(strategy)
    except ValueError as error:
        raise UsageError(
            f"the strategy {strategy!r}: {error}", "such as all-at-once, canary 25% 45m or linear 10% 3m"
        ) from error


def look_up(aws: Aws, strategy: Strategy) -> bool:
    """Tell whether the config of a strategy is there. One call at most.

    Raises UsageError for a named one that cannot be used, BgdeployError for one of the stack's name that does
    something else than its name says.
    """
    if strategy.predefined:
        return True
    name = strategy.config(aws.stack)
    found = _find(aws, name)
    if strategy.kind == "named":
        _require_usable(aws, name, found)
    elif found is not None and found.get("trafficRoutingConfig") != strategy.routing:
        raise BgdeployError(
            f"the deployment config {name} does not do what its name says: {found.get('trafficRoutingConfig')}",
            f"it is not bgdeploy's: aws deploy delete-deployment-config --deployment-config-name {name}",
        )
    return found is not None


def make(aws: Aws, strategy: Strategy) -> None:
    """Make the stack's config for a strategy. Raises BgdeployError when the account has too many."""
    from botocore.exceptions import ClientError

    name = strategy.config(aws.stack)
    try:
        aws.client("codedeploy").create_deployment_config(
            deploymentConfigName=name, computePlatform="ECS", trafficRoutingConfig=strategy.routing
        )
    except ClientError as error:
        if error_code(error) == "DeploymentConfigLimitExceededException":
            raise BgdeployError(
                f"the deployment config {name} cannot be made: the account has as many as AWS allows, 200",
                "aws deploy list-deployment-configs shows them; remove some, or choose a strategy that has one",
            ) from error
        if error_code(error) != "DeploymentConfigAlreadyExistsException":
            raise
        look_up(aws, strategy)  # another release was faster; what it made must be the very same


def _find(aws: Aws, name: str) -> Attrs | None:
    with absent("DeploymentConfigDoesNotExistException"):
        found = aws.client("codedeploy").get_deployment_config(deploymentConfigName=name)
        return dict(found["deploymentConfigInfo"])
    return None


def _require_usable(aws: Aws, name: str, found: Attrs | None) -> None:
    if found is None:
        raise UsageError(
            f"there is no deployment config {name} in {aws.region}",
            "aws deploy list-deployment-configs lists them; canary P% D and linear P% D need none",
        )
    if found.get("computePlatform") != "ECS":
        raise UsageError(
            f"the deployment config {name} is for {found.get('computePlatform', 'Server')}, not for ECS",
            "name another one, or say it as canary P% D or linear P% D",
        )
