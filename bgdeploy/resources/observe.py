"""Logs, the filters that count in them, and the alarms on what they count."""

from __future__ import annotations

from dataclasses import dataclass

from bgdeploy.aws import Attrs, Aws, absent, tag_list, tag_map
from bgdeploy.provision.resource import TAGS, Known, Look, Resource


@dataclass(frozen=True, eq=False, kw_only=True)
class LogGroup(Resource):
    """A log group that forgets after a while."""

    kind = "log-group"
    days: int

    def desired(self, known: Known) -> Attrs:
        return {"retentionInDays": self.days}

    def find(self, look: Look) -> Attrs | None:
        logs = look.aws.client("logs")
        groups = logs.describe_log_groups(logGroupNamePrefix=self.name)["logGroups"]
        found = next((dict(group) for group in groups if group["logGroupName"] == self.name), None)
        if found is None:
            return None
        arn = found["arn"].removesuffix(":*")
        return {**found, TAGS: dict(logs.list_tags_for_resource(resourceArn=arn)["tags"])}

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        aws.client("logs").create_log_group(logGroupName=self.name, tags=dict(self.tags(aws)))
        return self.update(aws, {}, desired)

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        aws.client("logs").put_retention_policy(logGroupName=self.name, **changed)
        return changed

    def delete(self, aws: Aws, actual: Attrs) -> None:
        with absent("ResourceNotFoundException"):
            aws.client("logs").delete_log_group(logGroupName=self.name)


@dataclass(frozen=True, eq=False, kw_only=True)
class MetricFilter(Resource):
    """Counts the lines of a log group that match a pattern."""

    kind = "metric-filter"
    part_of_another = True  # of its log group: filters carry no tags
    log_group: LogGroup
    namespace: str
    pattern: str

    def desired(self, known: Known) -> Attrs:
        # A zero for every quiet minute lets an alarm recover (aws-facts 9.3).
        transformation = {
            "metricName": self.name,
            "metricNamespace": self.namespace,
            "metricValue": "1",
            "defaultValue": 0.0,
        }
        return {"filterPattern": self.pattern, "metricTransformations": [transformation]}

    def find(self, look: Look) -> Attrs | None:
        group = self.log_group.name

        def ask() -> list[Attrs]:
            with absent("ResourceNotFoundException"):
                logs = look.aws.client("logs")
                return list(logs.describe_metric_filters(logGroupName=group)["metricFilters"])
            return []

        filters = look.once(("metric filters", group), ask)
        return next((each for each in filters if each["filterName"] == self.name), None)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        logs = aws.client("logs")
        logs.put_metric_filter(logGroupName=self.log_group.name, filterName=self.name, **desired)
        return desired

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        whole = {key: actual[key] for key in ("filterPattern", "metricTransformations")} | changed
        return self.create(aws, whole)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        with absent("ResourceNotFoundException"):
            aws.client("logs").delete_metric_filter(logGroupName=self.log_group.name, filterName=self.name)


@dataclass(frozen=True, eq=False, kw_only=True)
class Alarm(Resource):
    """Goes off when a metric filter counts too much; CodeDeploy watches it during a deployment."""

    kind = "alarm"
    metric: MetricFilter
    threshold: float
    period: int
    evaluation_periods: int

    def desired(self, known: Known) -> Attrs:
        return {
            "Namespace": self.metric.namespace,
            "MetricName": self.metric.name,
            "Statistic": "Sum",
            "Period": int(self.period),
            "EvaluationPeriods": self.evaluation_periods,
            "Threshold": float(self.threshold),
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            # No line in the log is no error: without this a quiet service would never leave INSUFFICIENT_DATA.
            "TreatMissingData": "notBreaching",
        }

    def find(self, look: Look) -> Attrs | None:
        cloudwatch = look.aws.client("cloudwatch")
        found = cloudwatch.describe_alarms(AlarmNames=[self.name], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
        if not found:
            return None
        tags = cloudwatch.list_tags_for_resource(ResourceARN=found[0]["AlarmArn"])["Tags"]
        return {**found[0], TAGS: tag_map(tags)}

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName=self.name, Tags=tag_list(self.tags(aws)), **desired
        )
        return desired

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        """PutMetricAlarm replaces the whole alarm, so all of what we declare goes along."""
        declared = (
            "Namespace",
            "MetricName",
            "Statistic",
            "Period",
            "EvaluationPeriods",
            "Threshold",
            "ComparisonOperator",
            "TreatMissingData",
        )
        whole = {key: actual[key] for key in declared if key in actual} | changed
        aws.client("cloudwatch").put_metric_alarm(AlarmName=self.name, **whole)
        return changed

    def delete(self, aws: Aws, actual: Attrs) -> None:
        with absent("ResourceNotFound"):
            aws.client("cloudwatch").delete_alarms(AlarmNames=[self.name])
