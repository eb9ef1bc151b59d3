"""Logs, and the filters that count in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bgdeploy.aws import Attrs, Aws, absent
from bgdeploy.provision.resource import TAGS, Known, Look, Remains, Resource
from bgdeploy.resources.tagging import tags_of


@dataclass(frozen=True, eq=False, kw_only=True)
class LogGroup(Resource):
    """A log group that forgets after a while."""

    kind = "log-group"
    namespace: str = ""  # of the metrics that the stack's filters on it feed
    taken = frozenset({"ResourceAlreadyExistsException"})
    days: int

    def desired(self, known: Known) -> Attrs:
        return {"retentionInDays": self.days}

    def find(self, look: Look) -> Attrs | None:
        logs = look.aws.client("logs")

        def ask() -> list[Attrs]:
            # The names of all the stack's groups hold its own: one call for all of them.
            pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePattern=look.aws.stack)
            return [group for page in pages for group in page["logGroups"]]

        groups = look.once("log groups", ask)
        found = next((dict(group) for group in groups if group["logGroupName"] == self.name), None)
        if found is None:
            return None
        arn = found["arn"].removesuffix(":*")
        tags = tags_of(
            look,
            arn,
            self.tags(look.aws),
            lambda: dict(logs.list_tags_for_resource(resourceArn=arn)["tags"]),
        )
        return {**found, TAGS: tags}

    def forgotten(self, look: Look, declared: Collection[Resource]) -> list[Remains]:
        return forgotten_filters(look, self.name, self.namespace, declared) if self.namespace else []

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        aws.client("logs").create_log_group(logGroupName=self.name, tags=dict(self.tags(aws)))
        return self.update(aws, {}, desired)

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        aws.client("logs").put_retention_policy(logGroupName=self.name, **changed)
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        arn = actual["arn"].removesuffix(":*")
        aws.client("logs").tag_resource(resourceArn=arn, tags=dict(tags))

    def delete(self, aws: Aws, actual: Attrs) -> None:
        with absent("ResourceNotFoundException"):
            aws.client("logs").delete_log_group(logGroupName=self.name)


def _filters(look: Look, group: str) -> list[Attrs]:
    def ask() -> list[Attrs]:
        with absent("ResourceNotFoundException"):
            pages = look.aws.client("logs").get_paginator("describe_metric_filters")
            return [each for page in pages.paginate(logGroupName=group) for each in page["metricFilters"]]
        return []

    return look.once(("metric filters", group), ask)


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
        filters = _filters(look, self.log_group.name)
        found = next((each for each in filters if each["filterName"] == self.name), None)
        return found and {"logGroupName": self.log_group.name, **found}

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        logs = aws.client("logs")
        logs.put_metric_filter(logGroupName=self.log_group.name, filterName=self.name, **desired)
        return desired

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        whole = {key: actual[key] for key in ("filterPattern", "metricTransformations")} | changed
        return self.create(aws, whole)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        _delete_filter(aws, actual)


def forgotten_filters(
    look: Look, group: str, namespace: str, declared: Collection[Resource]
) -> list[Remains]:
    """Return the filters of a log group that feed `namespace`, which is the stack's own, and that nobody declares."""
    names = {each.name for each in declared if isinstance(each, MetricFilter)}
    return [
        Remains(
            name=each["filterName"],
            was=f"{MetricFilter.kind}/{each['filterName']}",
            actual={"logGroupName": group, **each},
            remove=_delete_filter,
        )
        for each in _filters(look, group)
        if each["filterName"] not in names
        and any(metric["metricNamespace"] == namespace for metric in each["metricTransformations"])
    ]


def _delete_filter(aws: Aws, actual: Attrs) -> None:
    with absent("ResourceNotFoundException"):
        aws.client("logs").delete_metric_filter(
            logGroupName=actual["logGroupName"], filterName=actual["filterName"]
        )
