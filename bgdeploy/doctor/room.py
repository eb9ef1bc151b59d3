"""Looks at what a release needs more of while both versions run, and at what production runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bgdeploy.aws import Attrs, Aws, error_code
from bgdeploy.config import Config
from bgdeploy.doctor.condition import ImageSeen, Room
from bgdeploy.release import image as images
from bgdeploy.release.reader import Reader

# Service Quotas: "Fargate On-Demand vCPU resource count".
_QUOTA = {"ServiceCode": "fargate", "QuotaCode": "L-3032A538"}


def room(reader: Reader, config: Config) -> Room:
    """Return how many more tasks there is room for: green comes up at full strength beside blue (aws-facts 6.2)."""
    aws, service = reader.aws, reader.sides.service()
    network = _primary(service).get("networkConfiguration") or service.get("networkConfiguration") or {}
    subnets = network.get("awsvpcConfiguration", {}).get("subnets", [])
    told = aws.client("ec2").describe_subnets(SubnetIds=subnets)["Subnets"] if subnets else []
    most, used, unread = quota(aws)
    return Room(
        tasks=int(service.get("desiredCount", 0)),
        addresses=sum(each["AvailableIpAddressCount"] for each in told),
        vcpus=config.container.cpu / 1024,
        quota=most,
        used=used,
        unread=unread,
    )


def _primary(service: Attrs) -> Attrs:
    return next((each for each in service.get("taskSets") or () if each["status"] == "PRIMARY"), {})


def quota(aws: Aws) -> tuple[float | None, float | None, str]:
    """Return the account's quota of vCPUs and how many are in use, None and why where nobody tells."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        told = aws.client("service-quotas").get_service_quota(**_QUOTA)["Quota"]
        return float(told["Value"]), _usage(aws, told.get("UsageMetric") or {}), ""
    except (ClientError, BotoCoreError) as error:
        why = error_code(error) or type(error).__name__
        return None, None, f"Service Quotas does not tell how many vCPUs there may be: {why}"


def _usage(aws: Aws, metric: dict[str, Any]) -> float | None:
    """Return the newest value of the metric that counts what is used of a quota."""
    if not metric.get("MetricName"):
        return None
    now = aws.clock.now()
    statistic = metric.get("MetricStatisticRecommendation", "Maximum")
    told = aws.client("cloudwatch").get_metric_statistics(
        Namespace=metric["MetricNamespace"],
        MetricName=metric["MetricName"],
        Dimensions=[
            {"Name": name, "Value": value} for name, value in metric.get("MetricDimensions", {}).items()
        ],
        StartTime=now - timedelta(hours=1),
        EndTime=now,
        Period=300,
        Statistics=[statistic],
    )["Datapoints"]
    newest = max(told, key=lambda each: each["Timestamp"], default=None)
    return float(newest[statistic]) if newest else None


def image(reader: Reader) -> ImageSeen:
    """Return the image that production runs, and whether ECR still has it."""
    definition = _primary(reader.sides.service()).get("taskDefinition", "")
    told = reader.aws.client("ecs").describe_task_definition(taskDefinition=definition)["taskDefinition"]
    containers = {each["name"]: each["image"] for each in told["containerDefinitions"]}
    reference = containers.get(reader.target.container, "")
    return ImageSeen(reference, images.present(reader.aws, reference))
