"""The config: everything wrong with it is found at once, and told with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.checktypes import Check, RawMetric
from bgdeploy.config import Config, Duration
from bgdeploy.errors import UsageError
from bgdeploy.project import ConfigError, load

KEYS = Check.__struct_encode_fields__


def project(folder: Path, base: str, dev: str = "", **more: str) -> Path:
    (folder / "config").mkdir()
    for name, text in {"base": base, "dev": dev, **more}.items():
        (folder / "config" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def problems(folder: Path, base: str, dev: str = "", environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(project(folder, base, dev), "dev", environ or {})
    return [str(problem) for problem in caught.value.problems]


def config(folder: Path, base: str, dev: str = "", environ: dict[str, str] | None = None) -> Config:
    return load(project(folder, base, dev), "dev", environ or {}).config


def test_an_app_name_is_all_that_must_be_written(tmp_path: Path) -> None:
    settings = load(project(tmp_path, "app: shop"), "dev", {})
    assert settings.names.stack == "shop-dev"
    assert settings.config.deployment.keep_blue == 300


def test_the_environments_file_is_laid_over_the_base(tmp_path: Path) -> None:
    merged = config(
        tmp_path,
        "app: shop\nservice: {tasks: 1}\ncontainer: {name: web, port: 80}",
        "container: {port: 8080}",
    )
    assert (merged.container.name, merged.container.port) == ("web", 8080)


def test_a_list_in_the_environments_file_replaces_the_bases(tmp_path: Path) -> None:
    merged = config(
        tmp_path,
        "app: shop\ndeployment: {rollback_on: [failure, alarm]}",
        "deployment: {rollback_on: [stop]}",
    )
    assert merged.deployment.rollback_on == ("stop",)


def test_all_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    base = "app: shop\ncontainer:\n  cpu: 300\n  port: eighty\ndeployment:\n  keep_blu: 5m\n"
    assert problems(tmp_path, base) == [
        "config/base.yaml:3: container.cpu: must be one of 256, 512, 1024, 2048, 4096, 8192, 16384, not 300",
        "config/base.yaml:4: container.port: must be a whole number, not 'eighty'",
        "config/base.yaml:6: deployment.keep_blu: is no known key; did you mean keep_blue?",
    ]


def test_a_value_that_breaks_a_rule_is_told_beside_one_of_the_wrong_type(tmp_path: Path) -> None:
    found = problems(tmp_path, "app: shop\nservice: {tasks: 0}\ndeployment: {strategy: canary 10% 90s}")
    assert [line.split(": ")[1] for line in found] == ["service.tasks", "deployment.strategy"]


def test_problems_are_told_from_top_to_bottom_also_those_beside_an_impossible_app(tmp_path: Path) -> None:
    ports = "load_balancer: {production: {port: 8080}, test: {port: 8080}}"
    found = problems(tmp_path, f"{ports}\nservice: {{tasks: 0}}", "app: S")
    assert [line.split(": ")[:2] for line in found] == [
        ["config/base.yaml:1", "load_balancer.test.port"],
        ["config/base.yaml:2", "service.tasks"],
        ["config/dev.yaml:1", "app"],
    ]


def test_a_long_value_is_told_with_its_beginning_and_its_quotes(tmp_path: Path) -> None:
    assert problems(tmp_path, f"app: {'a' * 50}") == [
        f"config/base.yaml:1: app: must be text with a length of at most 40, not '{'a' * 35}…'"
    ]


def test_a_problem_in_the_environments_file_names_that_file(tmp_path: Path) -> None:
    assert problems(tmp_path, "app: shop", "\n\nregion: 5")[0].startswith(
        "config/dev.yaml:3: region: must be text"
    )


def test_a_value_that_may_be_left_out_is_asked_for_in_words_too(tmp_path: Path) -> None:
    found = problems(tmp_path, "app: shop\nchecks:\n  - {name: smoke, command: true}")
    assert found == ["config/base.yaml:3: checks[0].command: must be text, not true"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "checks: [{name: a, get: /, when: never}]",
            "checks[0].when: must be one of before, shift, after, not 'never'",
        ),
        (
            "notifications: [{sns: releases}]",
            "notifications[0].sns: must be the ARN of an SNS topic, not 'releases'",
        ),
        (
            "service: {platform_version: newest}",
            "service.platform_version: must be LATEST or a version such as 1.4.0, not 'newest'",
        ),
    ],
)
def test_what_may_be_written_is_told_in_words(tmp_path: Path, text: str, told: str) -> None:
    assert problems(tmp_path, f"app: shop\n{text}") == [f"config/base.yaml:2: {told}"]


def test_a_key_that_is_written_twice_is_a_problem(tmp_path: Path) -> None:
    assert problems(tmp_path, "app: shop\napp: store") == ["config/base.yaml:2: app: is written twice"]


def test_broken_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    assert problems(tmp_path, "app: shop\n  region: [")[0].startswith("config/base.yaml:2: is not YAML")


def test_a_list_in_place_of_the_config_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path, "- app") == ["config/base.yaml:1: must be a mapping of keys to values"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("container: {cpu: 256, memory: 4096}", "container.memory"),
        ("load_balancer: {production: {port: 8080}}", "load_balancer.test.port"),
        ("load_balancer: {test: {allow: [vpc, everybody]}}", "load_balancer.test.allow[1]"),
        ("load_balancer: {health_check: {interval: 5s, timeout: 5s}}", "load_balancer.health_check.timeout"),
        ("load_balancer: {deregistration_delay: 2h}", "load_balancer.deregistration_delay"),
        ("network: {create: {cidr: 10.0.0.0/8}}", "network.create.cidr"),
        ("deployment: {keep_blue: 90s}", "deployment.keep_blue"),
        ("deployment: {approval: 10s}", "deployment.approval"),
        ("hook: {lease: 1h}", "hook.lease"),
        ("logs: {retention: 13d}", "logs.retention"),
        ("alarms: [{name: a, log_filter: x, period: 90s}]", "alarms[0].period"),
        ("alarms: [{name: a, log_filter: x}, {name: a, log_filter: y}]", "alarms"),
        ("checks: [{name: a, get: /, matches: '('}]", "checks[0].matches"),
        ("checks: [{name: a, get: /}, {name: a, get: /b}]", "checks[1].name"),
    ],
)
def test_what_aws_would_refuse_later_is_refused_before(tmp_path: Path, text: str, path: str) -> None:
    assert [line.split(": ")[1] for line in problems(tmp_path, f"app: shop\n{text}")] == [path]


def test_a_stack_name_too_long_for_its_target_groups_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, "app: a-name-that-goes-on-and-on-and-on")
    assert "at most 26 fit, because a target group's name ends at 32" in found[0]


def test_a_name_that_no_load_balancer_may_have_is_refused_where_one_is_made(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "app: internal")
    assert "app: must not begin with internal-" in found


def test_an_unknown_environment_names_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no environment 'pord'.*did you mean prod\?"):
        load(project(tmp_path, "app: shop", prod=""), "pord", {})


def test_a_folder_that_is_no_project_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, "dev", {})
    assert "bgdeploy init" in caught.value.hint


def test_an_unquoted_variable_may_stand_for_a_number(tmp_path: Path) -> None:
    read = config(tmp_path, "app: shop\ncontainer:\n  port: ${env:PORT}", environ={"PORT": "8080"})
    assert read.container.port == 8080


def test_a_quoted_variable_stays_text(tmp_path: Path) -> None:
    read = config(tmp_path, 'app: shop\ncontainer: {environment: {N: "${env:N}"}}', environ={"N": "1"})
    assert read.container.environment == {"N": "1"}


def test_a_variable_may_have_a_default(tmp_path: Path) -> None:
    assert config(tmp_path, "app: shop\nregion: ${env:WHERE:-eu-west-1}").region == "eu-west-1"


def test_a_variable_that_is_not_set_is_a_problem_with_its_line(tmp_path: Path) -> None:
    found = problems(tmp_path, "app: shop\nregion: ${env:WHERE}")
    assert found[0].startswith("config/base.yaml:2: region: the environment variable WHERE is not set")


def test_a_limit_may_be_a_number_or_text_and_a_metric_a_name_or_a_mapping(tmp_path: Path) -> None:
    base = """\
app: shop
checks:
  - {name: errors, metric: target_5xx_rate, below: 1%}
  - {name: orders, metric: {namespace: Shop, name: Orders, statistic: Sum}, above: 5}
"""
    errors, orders = config(tmp_path, base).checks
    assert errors.metric == "target_5xx_rate"
    assert [str(limit) for limit in (errors.below, orders.above)] == ["1%", "5"]
    assert isinstance(orders.metric, RawMetric)
    assert orders.metric.namespace == "Shop"


def test_what_is_wrong_with_checks_is_told_key_by_key(tmp_path: Path) -> None:
    base = """\
app: shop
checks:
  - name: load
    load: 20 a second
    p95: soon
  - name: smoke
    command: "true"
    contains: Hello
"""
    assert problems(tmp_path, base) == [
        "config/base.yaml:4: checks[0].load: must be a load such as 20 per second for 30s, not '20 a second'",
        "config/base.yaml:5: checks[0].p95: must be a limit such as 200ms, 1.5s, 1% or 20, not 'soon'",
        "config/base.yaml:8: checks[1].contains: means nothing to a command check: it knows command, within",
    ]


def test_a_misspelt_version_is_told_with_its_line(tmp_path: Path) -> None:
    base = """\
app: shop
checks:
  - name: home page
    get: /
    contains: Hello from {verison}
    header:
      X-Version: "{vesion}"
"""
    said = "which nothing replaces: the version that is released is written {version}"
    assert problems(tmp_path, base) == [
        f"config/base.yaml:5: checks[0].contains: check 'home page' holds {{verison}}, {said}",
        f"config/base.yaml:7: checks[0].header.X-Version: check 'home page' holds {{vesion}}, {said}",
    ]


def test_a_check_without_a_name_hides_no_problem_of_its_own_or_of_others(tmp_path: Path) -> None:
    base = """\
app: shop
checks:
  - get: /
    status: 99
  - status: 200
  - {name: slow, get: /, timeout: 0s}
  - home page
"""
    assert problems(tmp_path, base) == [
        "config/base.yaml:3: checks[0].name: is missing and has no default",
        "config/base.yaml:4: checks[0].status: must be an HTTP status, 100 to 599",
        "config/base.yaml:5: checks[1].name: is missing and has no default",
        "config/base.yaml:5: checks[1]: must have one of get, load, compare, command, metric",
        "config/base.yaml:6: checks[2].timeout: must be at least 1s",
        f"config/base.yaml:7: checks[3]: must be a mapping with the keys {', '.join(KEYS)}, not 'home page'",
    ]


def test_a_sidecar_without_an_image_hides_no_problem_of_another(tmp_path: Path) -> None:
    base = """\
app: shop
sidecars:
  - name: proxy
  - {name: agent, image: "agent:1", ports: [80]}
task_role:
  statements:
    - actions: ["s3:GetObject"]
    - {actions: [], resources: ["*"]}
"""
    assert problems(tmp_path, base) == [
        "config/base.yaml:2: sidecars: two containers listen on port 80, and share one address",
        "config/base.yaml:3: sidecars[0].image: is missing and has no default",
        "config/base.yaml:7: task_role.statements[0].resources: is missing and has no default",
        "config/base.yaml:8: task_role.statements[1].actions: must not be empty",
    ]


def test_approval_none_means_no_wait(tmp_path: Path) -> None:
    assert config(tmp_path, "app: shop\ndeployment: {approval: none}").deployment.approval is None


@given(st.integers(min_value=0, max_value=10**7))
def test_a_duration_reads_what_it_writes(seconds: int) -> None:
    assert Duration.parse(str(Duration(seconds))) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5m 3", "-5m", "5 m", "1.5h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration such as"):
        Duration.parse(text)


def test_every_config_of_the_starter_project_is_valid() -> None:
    root = Path(__file__).parents[2]
    for env in ("dev", "prod"):
        assert load(root, env, {}).names.stack == f"ecs-blue-green-demo-{env}"


def test_on_is_a_key_and_not_a_truth(tmp_path: Path) -> None:
    found = config(tmp_path, "app: shop\nnotifications:\n  - webhook: https://h.example/x\n    on: [end]\n")
    assert found.notifications[0].on == ("end",)


def test_a_secret_that_is_wrong_is_not_told(tmp_path: Path) -> None:
    base = 'app: shop\nnotifications: [{webhook: "${env:HOOK}"}, {webhook: 5}]'
    told = problems(tmp_path, base, environ={"HOOK": "http://h.example/s3cret"})
    assert [problem.partition(": must")[0] for problem in told] == [
        "config/base.yaml:2: notifications[0].webhook",
        "config/base.yaml:2: notifications[1].webhook",
    ]
    assert "s3cret" not in "".join(told)


def test_a_topic_is_where_the_stack_is_and_stands_for_itself(tmp_path: Path) -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:releases"
    told = problems(tmp_path, f"app: shop\nnotifications: [{{sns: {topic}, webhook: https://h.example/x}}]")
    assert "has a topic and a webhook" in told[0]
    assert told[1].endswith("notifications[0].sns: must be a topic in us-east-1, where the stack is")
