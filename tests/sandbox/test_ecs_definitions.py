"""What a task definition may ask for, and what becomes of it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.fleet import Fleet, container, fleets

# Writes what it finds in its environment to its page.
_SHOW = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = " ".join(f"{name}={os.environ.get(name)}" for name in ("ONE", "TWO")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
TAGS = [{"key": "bgdeploy:version", "value": "v1"}]


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Fleet]]:
    made = fleets(tmp_path_factory.mktemp("sandbox"))
    yield made
    made.close()


@pytest.fixture
def fleet(regions: Iterator[Fleet]) -> Iterator[Fleet]:
    fleet = next(regions)
    yield fleet
    fleet.end()


@pytest.fixture(scope="module")
def standing(regions: Iterator[Fleet]) -> Fleet:
    """A fleet for tests that change nothing."""
    return next(regions)


def running(fleet: Fleet, *containers: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Create a service and return its task, once it is steady."""
    definition = fleet.definition(*containers, **settings.pop("definition", {}))
    service = fleet.create(taskDefinition=definition, **settings)
    fleet.until(lambda: service.primary and service.primary.steady)
    ecs = fleet.client("ecs")
    arns = ecs.list_tasks(cluster="shop")["taskArns"]
    return dict(ecs.describe_tasks(cluster="shop", tasks=arns, include=["TAGS"])["tasks"][0])


# What is refused


@pytest.mark.parametrize(
    ("containers", "message"),
    [
        ([container(), container()], "Container name 'web' is used more than once."),
        ([container(essential=False)], "A task definition must have at least one essential container."),
        (
            [container(portMappings=[{"containerPort": 80, "hostPort": 8080}])],
            "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
        ),
        (
            [container(dependsOn=[{"containerName": "db", "condition": "START"}])],
            "Container 'web' depends on 'db', which it cannot.",
        ),
        ([container(healthCheck={"command": ["CMD", "true"], "interval": 4})], "HealthCheck interval"),
        ([container(healthCheck={"command": ["CMD", "true"], "retries": 11})], "HealthCheck retries"),
        (
            [
                container(
                    environment=[{"name": "KEY", "value": "1"}],
                    secrets=[{"name": "KEY", "valueFrom": "key"}],
                )
            ],
            "The secret name must be unique",
        ),
    ],
)
def test_containers_that_cannot_be_are_refused(
    standing: Fleet, containers: list[dict[str, Any]], message: str
) -> None:
    code, said = standing.refused(
        "ecs",
        "register_task_definition",
        family="web",
        cpu="256",
        memory="512",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        executionRoleArn=standing.execution_role,
        containerDefinitions=containers,
    )
    assert code == "ClientException"
    assert said.startswith(message)


@pytest.mark.parametrize("size", [20, 201])
def test_ephemeral_storage_has_its_bounds(standing: Fleet, size: int) -> None:
    with pytest.raises(Exception, match="between 21 and 200"):
        standing.definition(ephemeralStorage={"sizeInGiB": size})


# What becomes of it


def test_a_task_has_the_platform_and_the_storage_that_it_asked_for(fleet: Fleet) -> None:
    platform = {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}
    asked = {"runtimePlatform": platform, "ephemeralStorage": {"sizeInGiB": 30}}
    task = running(fleet, definition=asked)
    assert {"name": "ecs.cpu-architecture", "value": "arm64"} in task["attributes"]
    assert task["ephemeralStorage"] == {"sizeInGiB": 30}


@pytest.mark.parametrize(
    ("settings", "tags"),
    [
        ({"propagateTags": "TASK_DEFINITION"}, {"bgdeploy:version": "v1"}),
        ({"propagateTags": "SERVICE"}, {"team": "shop"}),
        (
            {"enableECSManagedTags": True},
            {"aws:ecs:clusterName": "shop", "aws:ecs:serviceName": "web"},
        ),
        ({}, {}),
    ],
)
def test_a_task_has_the_tags_that_its_service_passes_on(
    fleet: Fleet, settings: dict[str, Any], tags: dict[str, str]
) -> None:
    own = [{"key": "team", "value": "shop"}]
    task = running(fleet, definition={"tags": TAGS}, tags=own, **settings)
    assert {pair["key"]: pair["value"] for pair in task["tags"]} == tags


def _page(fleet: Fleet) -> str:
    with urllib.request.urlopen(fleet.url(fleet.production)) as answer:
        return str(answer.read().decode())


def _show(one: str, two: str) -> dict[str, Any]:
    secrets = [{"name": "ONE", "valueFrom": one}, {"name": "TWO", "valueFrom": two}]
    return container(command=["python3", "-c", _SHOW], secrets=secrets)


def test_parameters_are_found_by_their_arns_with_and_without_a_path(fleet: Fleet) -> None:
    ssm = fleet.client("ssm")
    ssm.put_parameter(Name="/shop/one", Value="1", Type="SecureString")
    ssm.put_parameter(Name="two", Value="2", Type="String")
    fleet.grant(fleet.execution_role, "ssm:GetParameters")
    arn = f"arn:aws:ssm:{fleet.region}:123456789012:parameter"
    running(fleet, _show(f"{arn}/shop/one", f"{arn}/two"))
    assert _page(fleet) == "ONE=1 TWO=2"


def test_a_secret_is_read_in_the_version_that_is_asked_for(fleet: Fleet) -> None:
    manager = fleet.client("secretsmanager")
    arn = manager.create_secret(Name="shop", SecretString='{"key": "old"}')["ARN"]
    manager.put_secret_value(SecretId=arn, SecretString='{"key": "new"}')
    fleet.grant(fleet.execution_role, "secretsmanager:GetSecretValue")
    running(fleet, _show(f"{arn}:key::", f"{arn}:key:AWSPREVIOUS:"))
    assert _page(fleet) == "ONE=new TWO=old"


def _containers(task: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in task["containers"]}


def test_several_containers_run_side_by_side(fleet: Fleet) -> None:
    helper = {**container(), "name": "helper", "command": ["sh", "-c", "sleep 60"], "portMappings": []}
    found = _containers(running(fleet, container(), helper))
    assert {name: each["lastStatus"] for name, each in found.items()} == {
        "web": "RUNNING",
        "helper": "RUNNING",
    }


def test_a_task_goes_on_without_a_helper_whose_image_cannot_be_had(fleet: Fleet) -> None:
    helper = {"name": "helper", "image": "public.ecr.aws/xray/aws-xray-daemon:latest", "essential": False}
    found = _containers(running(fleet, container(), helper))
    assert found["web"]["lastStatus"] == "RUNNING"
    assert found["helper"]["lastStatus"] == "STOPPED"
    assert found["helper"]["reason"].startswith("CannotPullContainerError")


def test_a_task_does_not_start_without_an_essential_container(fleet: Fleet) -> None:
    helper = {"name": "helper", "image": "public.ecr.aws/xray/aws-xray-daemon:latest"}
    fleet.create(taskDefinition=fleet.definition(container(), helper))
    fleet.until(lambda: [each for each in fleet.tasks("STOPPED") if each["lastStatus"] == "STOPPED"])
    assert fleet.tasks("STOPPED")[0]["stoppedReason"].startswith("CannotPullContainerError")


# Made again


def test_a_cluster_that_there_is_stays_as_it_is(fleet: Fleet) -> None:
    ecs, insights = fleet.client("ecs"), [{"name": "containerInsights", "value": "enabled"}]
    ecs.create_cluster(clusterName="shop", tags=TAGS, settings=insights)
    again = ecs.create_cluster(clusterName="shop")["cluster"]
    told = ecs.describe_clusters(clusters=["shop"], include=["TAGS", "SETTINGS"])["clusters"][0]
    assert again["settings"] == told["settings"] == insights
    assert told["tags"] == TAGS


def test_the_settings_of_a_cluster_can_be_changed(fleet: Fleet) -> None:
    ecs, insights = fleet.client("ecs"), [{"name": "containerInsights", "value": "enhanced"}]
    ecs.create_cluster(clusterName="shop")
    ecs.update_cluster_settings(cluster="shop", settings=insights)
    told = ecs.describe_clusters(clusters=["shop"], include=["SETTINGS"])["clusters"][0]
    assert told["settings"] == insights


def test_the_same_creation_with_the_same_token_is_one_service(fleet: Fleet) -> None:
    asked = fleet.service_settings(desiredCount=0, clientToken="again")
    ecs = fleet.client("ecs")
    first, second = (ecs.create_service(**asked)["service"] for _ in range(2))
    other = fleet.refused("ecs", "create_service", **{**asked, "clientToken": "other"})
    assert first["createdAt"] == second["createdAt"]
    assert other == ("InvalidParameterException", "Creation of service was not idempotent.")
