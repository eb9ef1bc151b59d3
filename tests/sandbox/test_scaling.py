"""Application Auto Scaling of services."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.fleet import Fleet, fleets

SERVICE = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
WEB = {**SERVICE, "ResourceId": "service/shop/web"}
CPU = "ECSServiceAverageCPUUtilization"
REQUESTS = "ALBRequestCountPerTarget"
RUNNING = {
    "DynamicScalingInSuspended": False,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": False,
}


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Fleet]]:
    made = fleets(tmp_path_factory.mktemp("sandbox"))
    yield made
    made.close()


@pytest.fixture
def fleet(regions: Iterator[Fleet]) -> Iterator[Fleet]:
    """A fleet with a service that has no tasks."""
    fleet = next(regions)
    fleet.create(desiredCount=0)
    yield fleet
    fleet.end()


def register(fleet: Fleet, **settings: Any) -> str:
    asked = {"MinCapacity": 0, "MaxCapacity": 4, **settings}
    return str(scaling(fleet).register_scalable_target(**WEB, **asked)["ScalableTargetARN"])


def scaling(fleet: Fleet) -> Any:
    return fleet.client("application-autoscaling")


def policy(target: float = 60.0, metric: str = CPU, **more: Any) -> dict[str, Any]:
    """Return what PutScalingPolicy needs."""
    specification = {"PredefinedMetricType": metric, **more}
    return {
        **WEB,
        "PolicyName": "load",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": target,
            "PredefinedMetricSpecification": specification,
        },
    }


def alarms(fleet: Fleet) -> list[dict[str, Any]]:
    return list(fleet.client("cloudwatch").describe_alarms(AlarmNamePrefix="TargetTracking-")["MetricAlarms"])


def desired(fleet: Fleet) -> int:
    service = fleet.client("ecs").describe_services(cluster="shop", services=["web"])["services"][0]
    return int(service["desiredCount"])


def told(fleet: Fleet) -> dict[str, Any]:
    found = scaling(fleet).describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert len(found) == 1
    return dict(found[0])


# Targets


def test_a_target_is_told_as_it_was_registered(fleet: Fleet) -> None:
    arn = register(fleet)
    found = told(fleet)
    assert found["ScalableTargetARN"] == arn
    assert (found["ResourceId"], found["MinCapacity"], found["MaxCapacity"]) == ("service/shop/web", 0, 4)
    assert found["SuspendedState"] == RUNNING
    assert "ECSService" in found["RoleARN"]


def test_registering_again_changes_only_what_is_named(fleet: Fleet) -> None:
    arn = register(fleet)
    again = scaling(fleet).register_scalable_target(
        **WEB, SuspendedState={"DynamicScalingOutSuspended": True}
    )
    found = told(fleet)
    assert again["ScalableTargetARN"] == arn
    assert found["SuspendedState"] == {**RUNNING, "DynamicScalingOutSuspended": True}
    assert (found["MinCapacity"], found["MaxCapacity"]) == (0, 4)


def test_a_new_target_has_bounds(fleet: Fleet) -> None:
    refused = fleet.refused("application-autoscaling", "register_scalable_target", **WEB, MinCapacity=1)
    assert refused[0] == "ValidationException"


@pytest.mark.parametrize(
    "settings",
    [
        {"MinCapacity": 5, "MaxCapacity": 4},
        {"ResourceId": "service/shop/api"},
        {"ResourceId": "service/web"},
    ],
)
def test_a_target_that_cannot_be_is_refused(fleet: Fleet, settings: dict[str, Any]) -> None:
    asked = {**WEB, "MinCapacity": 1, "MaxCapacity": 4, **settings}
    refused = fleet.refused("application-autoscaling", "register_scalable_target", **asked)
    assert refused[0] == "ValidationException"


def test_a_service_is_moved_within_its_bounds_at_once(fleet: Fleet) -> None:
    register(fleet, MinCapacity=2)
    raised = desired(fleet)
    register(fleet, MaxCapacity=1)
    activities = scaling(fleet).describe_scaling_activities(ServiceNamespace="ecs")["ScalingActivities"]
    assert (raised, desired(fleet)) == (2, 1)
    assert [each["Cause"] for each in activities] == [
        "maximum capacity was set to 1",
        "minimum capacity was set to 2",
    ]


def test_a_suspended_service_is_left_where_it_is(fleet: Fleet) -> None:
    suspended = dict.fromkeys(RUNNING, True)
    register(fleet, MinCapacity=2, SuspendedState=suspended)
    during = desired(fleet)
    scaling(fleet).register_scalable_target(**WEB, SuspendedState=RUNNING)
    assert (during, desired(fleet)) == (0, 2)


def test_a_target_has_tags(fleet: Fleet) -> None:
    arn = register(fleet, Tags={"bgdeploy:stack": "shop-dev", "a": "1"})
    client = scaling(fleet)
    client.tag_resource(ResourceARN=arn, Tags={"b": "2"})
    client.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"bgdeploy:stack": "shop-dev", "b": "2"}


def test_what_is_not_there_is_said_to_be_so(fleet: Fleet) -> None:
    def refused(operation: str, **params: Any) -> str:
        return fleet.refused("application-autoscaling", operation, **params)[0]

    assert refused("deregister_scalable_target", **WEB) == "ObjectNotFoundException"
    assert refused("put_scaling_policy", **policy()) == "ObjectNotFoundException"
    assert refused("delete_scaling_policy", **WEB, PolicyName="load") == "ObjectNotFoundException"
    assert refused("list_tags_for_resource", ResourceARN="arn:aws:x") == "ResourceNotFoundException"


# Policies


def test_a_policy_is_told_as_it_was_put_with_its_two_alarms(fleet: Fleet) -> None:
    register(fleet)
    made = scaling(fleet).put_scaling_policy(**policy())
    found = scaling(fleet).describe_scaling_policies(**WEB)["ScalingPolicies"]
    configuration = policy()["TargetTrackingScalingPolicyConfiguration"]
    assert [each["TargetTrackingScalingPolicyConfiguration"] for each in found] == [configuration]
    assert found[0]["PolicyARN"] == made["PolicyARN"]
    assert {each["AlarmName"] for each in found[0]["Alarms"]} == {each["AlarmName"] for each in alarms(fleet)}
    assert sorted((each["Threshold"], each["EvaluationPeriods"]) for each in alarms(fleet)) == [
        (54.0, 15),
        (60.0, 3),
    ]


def test_a_policy_of_the_same_name_is_written_anew(fleet: Fleet) -> None:
    register(fleet)
    first = scaling(fleet).put_scaling_policy(**policy())
    second = scaling(fleet).put_scaling_policy(**policy(70.0))
    found = scaling(fleet).describe_scaling_policies(**WEB)["ScalingPolicies"]
    assert second["PolicyARN"] == first["PolicyARN"]
    assert [each["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] for each in found] == [70.0]
    assert max(each["Threshold"] for each in alarms(fleet)) == 70.0
    assert len(alarms(fleet)) == 2


def test_a_policy_by_requests_watches_its_target_group(fleet: Fleet) -> None:
    register(fleet)
    balancer = fleet.balancer.partition(":loadbalancer/")[2]
    group = fleet.blue.rpartition(":")[2]
    scaling(fleet).put_scaling_policy(**policy(100.0, REQUESTS, ResourceLabel=f"{balancer}/{group}"))
    dimensions = {each["Name"]: each["Value"] for each in alarms(fleet)[0]["Dimensions"]}
    assert dimensions == {"LoadBalancer": balancer, "TargetGroup": group}


@pytest.mark.parametrize(
    ("metric", "label"), [(REQUESTS, ""), (REQUESTS, "shop/blue"), (CPU, "app/lb/1/targetgroup/blue/2")]
)
def test_a_label_fits_its_metric(fleet: Fleet, metric: str, label: str) -> None:
    register(fleet)
    asked = policy(60.0, metric, **({"ResourceLabel": label} if label else {}))
    refused = fleet.refused("application-autoscaling", "put_scaling_policy", **asked)
    assert refused[0] == "ValidationException"


def test_a_deleted_policy_takes_its_alarms_along(fleet: Fleet) -> None:
    register(fleet)
    scaling(fleet).put_scaling_policy(**policy())
    scaling(fleet).delete_scaling_policy(**WEB, PolicyName="load")
    assert alarms(fleet) == []
    assert scaling(fleet).describe_scaling_policies(**WEB)["ScalingPolicies"] == []


def test_a_deregistered_target_takes_its_policies_along(fleet: Fleet) -> None:
    register(fleet)
    scaling(fleet).put_scaling_policy(**policy())
    scaling(fleet).deregister_scalable_target(**WEB)
    assert alarms(fleet) == []
    assert scaling(fleet).describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []
    assert scaling(fleet).describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"] == []


def test_what_the_sandbox_does_not_scale_is_refused_plainly(fleet: Fleet) -> None:
    table = {
        "ServiceNamespace": "dynamodb",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
        "ResourceId": "table/orders",
    }
    refused = fleet.refused(
        "application-autoscaling", "register_scalable_target", **table, MinCapacity=1, MaxCapacity=2
    )
    assert refused[0] == "NotImplemented"


def test_a_policy_may_be_held_to_a_formula_over_several_metrics(fleet: Fleet) -> None:
    register(fleet)

    def requests(group: str) -> dict[str, Any]:
        dimensions = [
            {"Name": "TargetGroup", "Value": f"targetgroup/{group}/0123456789abcdef"},
            {"Name": "LoadBalancer", "Value": "app/shop/0123456789abcdef"},
        ]
        metric = {
            "Namespace": "AWS/ApplicationELB",
            "MetricName": "RequestCountPerTarget",
            "Dimensions": dimensions,
        }
        return {"Id": group, "MetricStat": {"Metric": metric, "Stat": "Sum"}, "ReturnData": False}

    total = {"Id": "requests", "Expression": "blue + green", "ReturnData": True}
    configuration = {
        "TargetValue": 1000.0,
        "CustomizedMetricSpecification": {"Metrics": [requests("blue"), requests("green"), total]},
    }
    asked = {**policy(), "TargetTrackingScalingPolicyConfiguration": configuration}
    scaling(fleet).put_scaling_policy(**asked)
    found = scaling(fleet).describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"][0]
    assert found["TargetTrackingScalingPolicyConfiguration"] == configuration
    high, low = sorted(alarms(fleet), key=lambda alarm: alarm["AlarmName"])
    assert (high["Threshold"], low["Threshold"]) == (1000.0, 900.0)
    assert [each.get("Expression") for each in high["Metrics"]] == [None, None, "blue + green"]
    assert {each["MetricStat"]["Period"] for each in high["Metrics"][:2]} == {60}


def test_a_policy_is_held_to_one_thing(fleet: Fleet) -> None:
    register(fleet)
    predefined = policy()["TargetTrackingScalingPolicyConfiguration"]
    customized = {"CustomizedMetricSpecification": {"Metrics": [{"Id": "a", "Expression": "1"}]}}
    for configuration in ({"TargetValue": 1.0}, {**predefined, **customized}):
        asked = {**policy(), "TargetTrackingScalingPolicyConfiguration": configuration}
        refused = fleet.refused("application-autoscaling", "put_scaling_policy", **asked)
        assert refused[0] == "ValidationException"
