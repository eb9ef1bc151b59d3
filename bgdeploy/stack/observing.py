"""What a stack writes down, and what rings: logs, filters on them, alarms."""

from __future__ import annotations

from dataclasses import dataclass

from bgdeploy.config import Config
from bgdeploy.names import Names
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.observe import Alarm, LogGroup, MetricFilter


@dataclass(frozen=True)
class Observing:
    """The logs of application and hook, and the alarms that deployments watch."""

    logs: LogGroup
    hook_logs: LogGroup
    alarms: tuple[Alarm, ...]
    resources: tuple[Resource, ...]


def observing(config: Config, names: Names) -> Observing:
    """Return the log groups, and a filter and an alarm for each alarm of the config."""
    days = config.logs.retention // 86400
    logs = LogGroup(name=names.log_group, label="application", days=days, namespace=names.metric_namespace)
    hook_logs = LogGroup(name=names.hook_log_group, label="hook", days=days)
    filters = tuple(
        MetricFilter(
            name=alarm.name,
            label=alarm.name,
            log_group=logs,
            namespace=names.metric_namespace,
            pattern=alarm.log_filter,
        )
        for alarm in config.alarms
    )
    alarms = tuple(
        Alarm(
            name=names.alarm(alarm.name),
            prefix=names.alarm(""),
            label=alarm.name,
            metric=metric,
            threshold=alarm.threshold,
            period=alarm.period,
            evaluation_periods=alarm.evaluation_periods,
        )
        for alarm, metric in zip(config.alarms, filters, strict=True)
    )
    return Observing(logs, hook_logs, alarms, (logs, hook_logs, *filters, *alarms))
