"""ECS services under the CODE_DEPLOY controller, through boto3."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest

from bgdeploy.sandbox.codedeploy import appspec
from tests.sandbox.fleet import Fleet, container, fleets

_USE_CODEDEPLOY = (
    "on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment."
)

_APPSPEC = """
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: arn
        LoadBalancerInfo: {ContainerName: web, ContainerPort: 80}
        NetworkConfiguration:
          AwsvpcConfiguration: {Subnets: [SUBNET], SecurityGroups: [sg-1], AssignPublicIp: ENABLED}
"""
_FARGATE: dict[str, Any] = {
    "family": "web",
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "256",
    "memory": "512",
}


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
def standing(regions: Iterator[Fleet]) -> Iterator[Fleet]:
    """A fleet with a service of one task, for tests that change nothing."""
    fleet = next(regions)
    fleet.create()
    fleet.tick()
    yield fleet
    fleet.end()


# Creation


def test_a_new_service_has_a_primary_task_set_and_no_deployments(fleet: Fleet) -> None:
    fleet.create(desiredCount=2)
    told = fleet.describe()

    assert "deployments" not in told
    assert [(one["status"], one["scale"]) for one in told["taskSets"]] == [
        ("PRIMARY", {"value": 100.0, "unit": "PERCENT"})
    ]
    assert "externalId" not in told["taskSets"][0]
    assert told["taskSets"][0]["computedDesiredCount"] == 2
    assert told["taskSets"][0]["stabilityStatus"] == "STABILIZING"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"loadBalancers": []},
            "For a service with a CODE_DEPLOY deployment controller, the service requires an Application Load "
            "Balancer or Network Load Balancer",
        ),
        (
            {"schedulingStrategy": "DAEMON"},
            "The CODE_DEPLOY deployment controller only supports the REPLICA scheduling strategy.",
        ),
        (
            {"networkConfiguration": {}},
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ),
        (
            {"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}]},
            "Specifying both a launch type and capacity provider strategy is not supported.",
        ),
    ],
)
def test_a_service_that_aws_would_not_take_is_refused_in_its_words(
    standing: Fleet, change: dict[str, Any], message: str
) -> None:
    asked = standing.service_settings(serviceName="another", **change)
    assert standing.refused("ecs", "create_service", **asked) == ("InvalidParameterException", message)


@pytest.mark.parametrize(
    ("name", "port", "message"),
    [
        ("web", 443, "The container web did not have a container port 443 defined."),
        ("nope", 80, "The container does not exist in the task definition."),
    ],
)
def test_a_container_or_port_that_is_not_there_is_refused(
    standing: Fleet, name: str, port: int, message: str
) -> None:
    balancer = {"targetGroupArn": standing.blue, "containerName": name, "containerPort": port}
    asked = standing.service_settings(serviceName="another", loadBalancers=[balancer])
    assert standing.refused("ecs", "create_service", **asked) == ("InvalidParameterException", message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networkMode": "bridge"}, "Fargate only supports network mode \u2018awsvpc\u2019."),
        ({"cpu": ""}, "Fargate requires that 'cpu' be defined at the task level."),
        ({"memory": ""}, "Fargate requires that 'memory' be defined at the task level."),
        ({"memory": "8192"}, "No Fargate configuration exists for given values: 256 CPU, 8192 memory"),
        (
            {"cpu": "1 vCPU", "memory": "1GB"},
            "No Fargate configuration exists for given values: 1024 CPU, 1024",
        ),
        ({"cpu": "many"}, "No Fargate configuration exists"),
    ],
)
def test_a_task_definition_that_fargate_cannot_run_is_refused(
    standing: Fleet, changes: dict[str, str], message: str
) -> None:
    code, told = standing.refused(
        "ecs",
        "register_task_definition",
        **{**_FARGATE, "containerDefinitions": [container()], **changes},
    )
    assert (code, told[: len(message)]) == ("ClientException", message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logConfiguration": {"logDriver": "awslogs"}}, "role ARN to support log driver awslogs."),
        ({"image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:v1"}, "role ARN to support ECR images."),
        ({"secrets": [{"name": "KEY", "valueFrom": "/key"}]}, "specify a value for 'executionRoleArn'."),
    ],
)
def test_what_needs_an_execution_role_is_refused_without_one(
    standing: Fleet, change: dict[str, Any], message: str
) -> None:
    one = {**container(), **change}
    code, told = standing.refused("ecs", "register_task_definition", **_FARGATE, containerDefinitions=[one])
    assert code == "ClientException"
    assert told.endswith(message)


@pytest.mark.parametrize(("cpu", "memory"), [("256", "512"), (".25 vCPU", "0.5 GB"), ("16384", "32768")])
def test_what_fargate_offers_is_accepted(standing: Fleet, cpu: str, memory: str) -> None:
    assert standing.definition(cpu=cpu, memory=memory)


def test_a_target_group_without_a_load_balancer_is_refused(standing: Fleet) -> None:
    alone = standing.group("alone")
    balancer = {"targetGroupArn": alone, "containerName": "web", "containerPort": 80}
    asked = standing.service_settings(serviceName="another", loadBalancers=[balancer])
    assert standing.refused("ecs", "create_service", **asked) == (
        "InvalidParameterException",
        f"The target group with targetGroupArn {alone} does not have an associated load balancer.",
    )


def test_a_target_group_of_instances_is_refused(fleet: Fleet) -> None:
    machines = fleet.group("machines", TargetType="instance")
    fleet.listener(80, {"Type": "forward", "TargetGroupArn": machines})
    balancer = {"targetGroupArn": machines, "containerName": "web", "containerPort": 80}
    asked = {"cluster": fleet.cluster, "serviceName": "web", "taskDefinition": fleet.definition()}
    network = {"awsvpcConfiguration": {"subnets": fleet.subnets}}
    code, message = fleet.refused(
        "ecs",
        "create_service",
        **asked,
        deploymentController={"type": "CODE_DEPLOY"},
        loadBalancers=[balancer],
        networkConfiguration=network,
    )
    assert (code, "has target type instance" in message) == ("InvalidParameterException", True)


def test_a_target_group_of_weight_zero_has_a_load_balancer(fleet: Fleet) -> None:
    balancer = {"targetGroupArn": fleet.green, "containerName": "web", "containerPort": 80}
    assert fleet.create(loadBalancers=[balancer]).status == "ACTIVE"


def test_two_target_groups_are_refused(standing: Fleet) -> None:
    pair = [
        {"targetGroupArn": arn, "containerName": "web", "containerPort": 80}
        for arn in (standing.blue, standing.green)
    ]
    code, _ = standing.refused(
        "ecs", "create_service", **standing.service_settings(serviceName="another", loadBalancers=pair)
    )
    assert code == "InvalidParameterException"


def test_a_service_in_a_cluster_that_is_not_there_is_refused(standing: Fleet) -> None:
    asked = standing.service_settings(serviceName="another", cluster="elsewhere")
    assert standing.refused("ecs", "create_service", **asked) == (
        "ClusterNotFoundException",
        "Cluster not found.",
    )


def test_another_controller_is_refused_plainly(standing: Fleet) -> None:
    asked = standing.service_settings(serviceName="another", deploymentController={"type": "ECS"})
    code, message = standing.refused("ecs", "create_service", **asked)
    assert code == "NotImplemented"
    assert "not implemented in the sandbox" in message


def test_a_name_can_be_used_again_only_when_its_service_is_inactive(fleet: Fleet) -> None:
    asked = fleet.service_settings()
    ecs = fleet.client("ecs")
    service = fleet.create()
    active = fleet.refused("ecs", "create_service", **asked)
    fleet.until(lambda: service.primary and service.primary.steady)
    ecs.delete_service(cluster="shop", service="web", force=True)
    draining = fleet.refused("ecs", "create_service", **asked)
    fleet.until(lambda: fleet.describe()["status"] == "INACTIVE")

    assert active == ("InvalidParameterException", "Creation of service was not idempotent.")
    assert draining == ("InvalidParameterException", "Unable to Start a service that is still Draining.")
    assert ecs.create_service(**asked)["service"]["status"] == "ACTIVE"


# Updates


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"taskDefinition": "web:1"}, f"Unable to update task definition {_USE_CODEDEPLOY}"),
        ({"loadBalancers": []}, f"Unable to update load balancers {_USE_CODEDEPLOY}"),
        ({"platformVersion": "1.4.0"}, f"Unable to update platform version {_USE_CODEDEPLOY}"),
        ({"networkConfiguration": {}}, f"Unable to update network parameters {_USE_CODEDEPLOY}"),
        ({"forceNewDeployment": True}, f"Cannot force a new deployment {_USE_CODEDEPLOY}"),
    ],
)
def test_what_belongs_to_codedeploy_cannot_be_updated(
    standing: Fleet, change: dict[str, Any], message: str
) -> None:
    refused = standing.refused("ecs", "update_service", cluster="shop", service="web", **change)
    assert refused == ("InvalidParameterException", message)


def test_the_desired_count_can_be_updated(fleet: Fleet) -> None:
    service = fleet.create()
    fleet.client("ecs").update_service(cluster="shop", service="web", desiredCount=3)
    fleet.until(lambda: service.primary and service.primary.running == 3)
    fleet.client("ecs").update_service(cluster="shop", service="web", desiredCount=1)
    fleet.until(
        lambda: len(fleet.tasks("STOPPED")) == 2 and fleet.tasks("STOPPED")[0]["lastStatus"] == "STOPPED"
    )

    assert fleet.describe()["runningCount"] == 1
    assert fleet.tasks("STOPPED")[0]["stoppedReason"].startswith(
        "Scaling activity initiated by (deployment ecs-svc/"
    )


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("create_task_set", {"taskDefinition": "web"}),
        ("update_task_set", {"taskSet": "ecs-svc/1", "scale": {"value": 1, "unit": "PERCENT"}}),
        ("update_service_primary_task_set", {"primaryTaskSet": "ecs-svc/1"}),
    ],
)
def test_people_cannot_move_the_task_sets_of_codedeploy(
    standing: Fleet, operation: str, params: dict[str, Any]
) -> None:
    code, message = standing.refused("ecs", operation, cluster="shop", service="web", **params)
    assert code == "InvalidParameterException"
    assert "CODE_DEPLOY" in message


def test_a_person_removes_a_task_set_by_force_and_it_drains(fleet: Fleet) -> None:
    fleet.create()
    left = _green(fleet, "d-ABCDEFGHI")
    where = {"cluster": "shop", "service": "web", "taskSet": left.id}
    assert fleet.refused("ecs", "delete_task_set", **where)[0] == "InvalidParameterException"
    told = fleet.client("ecs").delete_task_set(**where, force=True)["taskSet"]
    assert (told["id"], told["status"], told["scale"]["value"]) == (left.id, "DRAINING", 0.0)
    fleet.until(lambda: len(fleet.describe()["taskSets"]) == 1)


def test_the_primary_task_set_is_not_removed_and_one_that_is_not_there_is_not_found(standing: Fleet) -> None:
    where = {"cluster": "shop", "service": "web", "force": True}
    primary = standing.describe()["taskSets"][0]["id"]
    assert standing.refused("ecs", "delete_task_set", **where, taskSet=primary)[0] == (
        "InvalidParameterException"
    )
    assert standing.refused("ecs", "delete_task_set", **where, taskSet="ecs-svc/1")[0] == (
        "TaskSetNotFoundException"
    )


def test_an_ecs_that_lets_nobody_remove_a_task_set_can_be_rehearsed(
    standing: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing.world.ecs, "people_remove_task_sets", False)
    where = {"cluster": "shop", "service": "web", "taskSet": "ecs-svc/1", "force": True}
    assert "CODE_DEPLOY" in standing.refused("ecs", "delete_task_set", **where)[1]


# Deletion


def test_a_service_with_tasks_is_deleted_only_by_force(standing: Fleet) -> None:
    assert standing.refused("ecs", "delete_service", cluster="shop", service="web") == (
        "InvalidParameterException",
        "The service cannot be stopped while it is scaled above 0.",
    )


def test_a_deleted_service_drains_and_can_be_described_for_a_while(fleet: Fleet) -> None:
    service = fleet.create()
    fleet.until(lambda: service.primary and service.primary.steady)
    ecs = fleet.client("ecs")
    assert ecs.delete_service(cluster="shop", service="web", force=True)["service"]["status"] == "DRAINING"
    fleet.until(lambda: fleet.describe()["status"] == "INACTIVE")
    assert ecs.list_services(cluster="shop")["serviceArns"] == []
    fleet.tick(2 * 3600)
    fleet.tick()

    told = ecs.describe_services(cluster="shop", services=["web"])
    assert (told["services"], told["failures"][0]["reason"]) == ([], "MISSING")


def test_a_cluster_goes_after_its_services(fleet: Fleet) -> None:
    service = fleet.create()
    fleet.until(lambda: service.primary and service.primary.steady)
    ecs = fleet.client("ecs")
    counts = ecs.describe_clusters(clusters=["shop"])["clusters"][0]
    refused = fleet.refused("ecs", "delete_cluster", cluster="shop")
    ecs.delete_service(cluster="shop", service="web", force=True)
    fleet.until(lambda: fleet.describe()["status"] == "INACTIVE")

    assert (counts["activeServicesCount"], counts["runningTasksCount"]) == (1, 1)
    assert refused[0] == "ClusterContainsServicesException"
    assert ecs.list_clusters()["clusterArns"] == [service.cluster_arn]
    assert ecs.delete_cluster(cluster="shop")["cluster"]["status"] == "INACTIVE"
    assert ecs.list_clusters()["clusterArns"] == []


# Task sets


def test_a_second_task_set_runs_at_full_scale_beside_the_first(fleet: Fleet) -> None:
    service = fleet.create(desiredCount=2)
    with fleet.world.lock:
        green = _green(fleet, "d-ABCDEFGHI")
    fleet.until(lambda: green.steady)
    told = fleet.describe()

    assert told["runningCount"] == 4
    assert [one["status"] for one in told["taskSets"]] == ["PRIMARY", "ACTIVE"]
    assert (told["taskSets"][1]["externalId"], told["taskSets"][1]["startedBy"]) == (
        "d-ABCDEFGHI",
        "CODE_DEPLOY",
    )
    assert (
        told["loadBalancers"][0]["targetGroupArn"]
        == fleet.blue
        == service.load_balancers[0]["targetGroupArn"]
    )


def test_the_primary_task_sets_parameters_become_the_services(fleet: Fleet) -> None:
    fleet.create()
    second = fleet.definition()
    with fleet.world.lock:
        fleet.world.ecs.set_primary(_green(fleet, "d-ABCDEFGHI", second))
    told = fleet.describe()

    assert [one["status"] for one in told["taskSets"]] == ["ACTIVE", "PRIMARY"]
    assert told["loadBalancers"][0]["targetGroupArn"] == fleet.green
    assert told["taskDefinition"] == second


def test_a_removed_task_set_drains_and_is_gone_and_its_tasks_are_still_told(fleet: Fleet) -> None:
    service = fleet.create()
    with fleet.world.lock:
        green = _green(fleet, "d-ABCDEFGHI")
    fleet.until(lambda: green.steady)
    fleet.world.ecs.remove_task_set(green)
    draining = fleet.describe()["taskSets"][1]
    fleet.until(lambda: green not in service.task_sets)

    assert (draining["status"], draining["computedDesiredCount"]) == ("DRAINING", 0)
    assert [task["startedBy"] for task in fleet.tasks("STOPPED")] == [green.id]


def test_a_task_definition_that_is_not_there_is_refused_in_the_words_of_ecs(standing: Fleet) -> None:
    arn = f"arn:aws:ecs:{standing.region}:123456789012:task-definition/web"
    with pytest.raises(Exception, match=r"Invalid revision number\. Number: latest"), standing.world.lock:
        _green(standing, "d-ABCDEFGHI", f"{arn}:latest")


@pytest.mark.parametrize("reference", ["web:latest", "arn:aws:ecs:us-east-1:1:task-definition/web:latest"])
def test_a_revision_is_a_number(standing: Fleet, reference: str) -> None:
    changes = {"taskDefinition": reference, "serviceName": "other"}
    told = standing.refused("ecs", "create_service", **standing.service_settings(**changes))
    assert told == ("InvalidParameterException", "Invalid revision number. Number: latest")


def test_a_task_set_stands_in_the_network_that_an_appspec_names(fleet: Fleet) -> None:
    service, spec = fleet.create(), appspec.parse(_APPSPEC.replace("SUBNET", fleet.subnets[1]))
    made = fleet.world.ecs.create_task_set(
        service,
        external_id="d-1",
        task_definition=service.task_definition,
        target_group_arn=fleet.green,
        container_name=spec.container,
        container_port=spec.port,
        network=spec.network,
    )
    fleet.tick()
    assert [task.subnet for task in made.tasks] == [fleet.subnets[1]]
    assert fleet.describe()["taskSets"][1]["networkConfiguration"] == spec.network


def test_a_service_is_steady_again_after_a_change_and_says_so(fleet: Fleet) -> None:
    service = fleet.create()
    fleet.until(lambda: service.primary and service.primary.steady)
    fleet.client("ecs").update_service(cluster="shop", service="web", desiredCount=2)
    fleet.tick()
    between = fleet.describe()["taskSets"][0]["stabilityStatus"]
    fleet.until(lambda: service.primary and service.primary.steady)

    assert between == "STABILIZING"
    steady = [event for event in fleet.events() if event.endswith("updated state to STEADY_STATE.")]
    assert len(steady) == 2


# Lists and tags


def test_services_and_tasks_are_listed_page_by_page(fleet: Fleet) -> None:
    service = fleet.create(desiredCount=3)
    fleet.tick()
    ecs = fleet.client("ecs")
    pages = ecs.get_paginator("list_tasks").paginate(cluster="shop", PaginationConfig={"PageSize": 2})
    arns = [arn for page in pages for arn in page["taskArns"]]

    assert len(set(arns)) == 3
    assert ecs.list_services(cluster="shop")["serviceArns"] == [service.arn]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"serviceName": "web"}, 1),
        ({"family": "web"}, 1),
        ({"family": "other"}, 0),
        ({"startedBy": "ecs-svc/1"}, 0),
        ({"desiredStatus": "STOPPED"}, 0),
        ({"launchType": "EC2"}, 0),
    ],
)
def test_tasks_are_listed_by_what_they_belong_to(standing: Fleet, wanted: dict[str, str], count: int) -> None:
    assert len(standing.client("ecs").list_tasks(cluster="shop", **wanted)["taskArns"]) == count


def test_tasks_of_a_service_that_is_not_there_are_not_listed(standing: Fleet) -> None:
    refused = standing.refused("ecs", "list_tasks", cluster="shop", serviceName="nope")
    assert refused == ("ServiceNotFoundException", "Service not found.")


def test_a_task_tells_its_place_in_the_network(standing: Fleet) -> None:
    details = {each["name"]: each["value"] for each in standing.tasks()[0]["attachments"][0]["details"]}

    number = standing.subnets.index(details["subnetId"])
    assert ipaddress.ip_address(details["privateIPv4Address"]) in ipaddress.ip_network(f"10.20.{number}.0/24")


def test_tags_are_told_when_asked_for(fleet: Fleet) -> None:
    service = fleet.create(tags=[{"key": "team", "value": "shop"}])
    ecs = fleet.client("ecs")
    ecs.tag_resource(resourceArn=service.arn, tags=[{"key": "stage", "value": "test"}])
    ecs.untag_resource(resourceArn=service.arn, tagKeys=["team"])

    assert fleet.describe()["tags"] == [{"key": "stage", "value": "test"}]
    assert "tags" not in ecs.describe_services(cluster="shop", services=["web"])["services"][0]
    assert ecs.list_tags_for_resource(resourceArn=service.arn)["tags"] == [{"key": "stage", "value": "test"}]


@pytest.mark.parametrize("operation", ["run_task", "start_task"])
def test_tasks_without_a_service_are_refused_plainly(standing: Fleet, operation: str) -> None:
    more: dict[str, Any] = {"containerInstances": ["i"]} if operation == "start_task" else {}
    code, message = standing.refused(
        "ecs", operation, cluster=standing.cluster, taskDefinition=standing.definition(), **more
    )
    assert (code, message.endswith("is not implemented in the sandbox")) == ("NotImplemented", True)


def test_there_are_no_service_deployments(standing: Fleet) -> None:
    told = standing.client("ecs").list_service_deployments(cluster="shop", service="web")
    assert told["serviceDeployments"] == []


def _green(fleet: Fleet, external_id: str, definition: str = "") -> Any:
    service = fleet.world.ecs.service("shop", "web", fleet.region)
    assert service is not None
    return fleet.world.ecs.create_task_set(
        service,
        external_id=external_id,
        task_definition=definition or fleet.definition(container()),
        target_group_arn=fleet.green,
        container_name="web",
        container_port=80,
    )
