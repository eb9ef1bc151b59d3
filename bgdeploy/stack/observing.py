"""What a stack writes down, and what rings: logs, filters on them, alarms."""

from __future__ import annotations

from dataclasses import dataclass

from bgdeploy.config import Alarm as Wanted
from bgdeploy.config import Config
from bgdeploy.names import Names
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.alarms import Alarm, Evaluation, ExistingAlarm, Formula, LogAlarm, TrafficAlarm
from bgdeploy.resources.observe import LogGroup, MetricFilter
from bgdeploy.stack.balancing import Balancing

_MISSING = {"good": "notBreaching", "bad": "breaching", "ignore": "ignore", "missing": "missing"}
_ERRORS = ("HTTPCode_Target_5XX_Count", "Sum")
_REQUESTS = ("RequestCount", "Sum")


@dataclass(frozen=True)
class Observing:
    """The logs of application and hook, and the alarms that deployments watch."""

    logs: LogGroup
    hook_logs: LogGroup
    alarms: tuple[Alarm | ExistingAlarm, ...]
    resources: tuple[Resource, ...]


def observing(config: Config, names: Names, balanced: Balancing) -> Observing:
    """Return the log groups, the alarms of the config, and a filter for each of them that is on the log."""
    days = config.logs.retention // 86400
    logs = LogGroup(name=names.log_group, label="application", days=days, namespace=names.metric_namespace)
    hook_logs = LogGroup(name=names.hook_log_group, label="hook", days=days)
    alarms = tuple(_alarm(wanted, names, logs, balanced) for wanted in config.alarms)
    filters = tuple(alarm.metric for alarm in alarms if isinstance(alarm, LogAlarm))
    return Observing(logs, hook_logs, alarms, (logs, hook_logs, *filters, *alarms))


def _alarm(wanted: Wanted, names: Names, logs: LogGroup, balanced: Balancing) -> Alarm | ExistingAlarm:
    if wanted.existing is not None:
        return ExistingAlarm(name=wanted.existing, label=wanted.existing)
    label = wanted.name or ""
    if wanted.log_filter is not None:
        metric = MetricFilter(
            name=label,
            label=label,
            log_group=logs,
            namespace=names.metric_namespace,
            pattern=wanted.log_filter,
        )
        threshold = 1 if wanted.threshold is None else wanted.threshold
        when = _evaluation(wanted, threshold)
        return LogAlarm(
            name=names.alarm(label), prefix=names.alarm(""), label=label, metric=metric, evaluation=when
        )
    formula, when = _traffic(wanted)
    return TrafficAlarm(
        name=names.alarm(label),
        prefix=names.alarm(""),
        label=label,
        formula=formula,
        evaluation=when,
        balancer=balanced.production.balancer,
        blue=balanced.blue,
        green=balanced.green,
    )


def _traffic(wanted: Wanted) -> tuple[Formula, Evaluation]:
    """Return what an alarm on both target groups compares, and when that is too much."""
    if wanted.slow:
        percentile = ("TargetResponseTime", f"p{wanted.slow.percentile:g}")
        slower = Formula("MAX([time_blue, time_green])", {"time": percentile})
        return slower, _evaluation(wanted, wanted.slow.above, above=True)
    if wanted.unhealthy_hosts:
        hosts = Formula("hosts_blue + hosts_green", {"hosts": ("UnHealthyHostCount", "Maximum")})
        return hosts, _evaluation(wanted, wanted.unhealthy_hosts.count)
    errors = wanted.target_5xx
    measures = {"errors": _ERRORS, "requests": _REQUESTS}
    if errors and errors.rate is not None:
        share = "100 * (errors_blue + errors_green) / (requests_blue + requests_green)"
        return Formula(share, measures), _evaluation(wanted, errors.rate)
    # Errors are only reported when there are some. Nothing times the requests makes a zero of every good minute, and
    # lets the alarm recover at once (aws-facts 9.3).
    count = "errors_blue + errors_green + 0 * (requests_blue + requests_green)"
    return Formula(count, measures), _evaluation(wanted, errors.count if errors and errors.count else 1)


def _evaluation(wanted: Wanted, threshold: float, *, above: bool = False) -> Evaluation:
    return Evaluation(
        threshold=threshold,
        above=above,
        period=int(wanted.period),
        periods=wanted.evaluation_periods,
        datapoints=wanted.datapoints,
        missing=_MISSING[wanted.missing_data],
    )
