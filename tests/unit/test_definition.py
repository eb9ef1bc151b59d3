"""What a config declares of its tasks, in ECS's words, and what no task could run with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bgdeploy.config import Config, Settings
from bgdeploy.definition import Place, build, parts, repository_arns, secret_arns
from bgdeploy.project import ConfigError, load

PLACE = Place("us-east-1", "arn:aws:iam::123456789012:role/execution", "arn:aws:iam::123456789012:role/task")
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:shop/db-AbC123"
PARAMETER = "arn:aws:ssm:us-east-1:123456789012:parameter/shop/key"


def settings(folder: Path, text: str) -> Settings:
    (folder / "config").mkdir()
    (folder / "config" / "base.yaml").write_text(f"app: shop\n{text}", encoding="utf-8")
    (folder / "config" / "dev.yaml").touch()
    return load(folder, "dev", {})


def content(folder: Path, text: str) -> dict[str, Any]:
    return build(settings(folder, text), PLACE, "image@sha256:a", "v1")


def container(folder: Path, text: str) -> dict[str, Any]:
    found: dict[str, Any] = content(folder, text)["containerDefinitions"][0]
    return found


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings(folder, text)
    return [f"{problem.path}: {problem.text}" for problem in caught.value.problems]


def test_all_that_is_said_of_a_container_is_declared(tmp_path: Path) -> None:
    told = container(
        tmp_path,
        """
container:
  command: [serve, --fast]
  entrypoint: [/bin/app]
  user: "1000"
  stop_timeout: 90s
  read_only: true
  health_check: {command: curl -f localhost, interval: 10s, timeout: 2s, retries: 2, start_period: 1m}
""",
    )
    assert told["command"] == ["serve", "--fast"]
    assert told["entryPoint"] == ["/bin/app"]
    assert (told["user"], told["stopTimeout"], told["readonlyRootFilesystem"]) == ("1000", 90, True)
    assert told["healthCheck"] == {
        "command": ["CMD-SHELL", "curl -f localhost"],
        "interval": 10,
        "timeout": 2,
        "retries": 2,
        "startPeriod": 60,
    }


def test_a_health_check_written_as_a_list_runs_without_a_shell(tmp_path: Path) -> None:
    told = container(tmp_path, "container: {health_check: {command: [/bin/check, -q]}}")
    assert told["healthCheck"]["command"] == ["CMD", "/bin/check", "-q"]


def test_what_the_config_does_not_say_is_left_to_ecs(tmp_path: Path) -> None:
    told = content(tmp_path, "")
    assert {"runtimePlatform", "ephemeralStorage"}.isdisjoint(told)
    assert set(told["containerDefinitions"][0]) == {
        "name",
        "image",
        "essential",
        "portMappings",
        "environment",
        "logConfiguration",
    }


def test_an_arm_task_with_more_disk_says_so(tmp_path: Path) -> None:
    told = content(tmp_path, "container: {architecture: arm64, ephemeral_storage: 40}")
    assert told["runtimePlatform"] == {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}
    assert told["ephemeralStorage"] == {"sizeInGiB": 40}


def test_a_sidecar_is_a_container_of_the_same_task(tmp_path: Path) -> None:
    told = content(
        tmp_path,
        """
container: {depends_on: {proxy: healthy}}
sidecars:
  - name: proxy
    image: public.ecr.aws/envoy/envoy:v1
    essential: false
    ports: [9901, 9902]
    health_check: {command: "true"}
""",
    )
    main, proxy = told["containerDefinitions"]
    assert main["dependsOn"] == [{"containerName": "proxy", "condition": "HEALTHY"}]
    assert (main["image"], main["essential"]) == ("image@sha256:a", True)
    assert (proxy["image"], proxy["essential"]) == ("public.ecr.aws/envoy/envoy:v1", False)
    assert [port["containerPort"] for port in proxy["portMappings"]] == [9901, 9902]


def test_with_exec_every_container_has_an_init_process(tmp_path: Path) -> None:
    told = content(tmp_path, "service: {exec: on}\nsidecars: [{name: log, image: x}]")
    assert [each["linuxParameters"] for each in told["containerDefinitions"]] == [
        {"initProcessEnabled": True}
    ] * 2


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        (SECRET, SECRET),
        (f"{SECRET}:password", f"{SECRET}:password::"),
        (f"{SECRET}:password:AWSPREVIOUS:", f"{SECRET}:password:AWSPREVIOUS:"),
        (PARAMETER, PARAMETER),
        ("/shop/key", "/shop/key"),
    ],
)
def test_a_secret_goes_out_as_the_reference_that_ecs_takes(tmp_path: Path, written: str, asked: str) -> None:
    told = container(tmp_path, f'container: {{secrets: {{KEY: "{written}"}}}}')
    assert told["secrets"] == [{"name": "KEY", "valueFrom": asked}]


def test_the_arns_behind_the_references_are_those_of_parameters_and_of_whole_secrets(tmp_path: Path) -> None:
    config = settings(
        tmp_path,
        f"""
container: {{secrets: {{A: "{SECRET}:user", B: "{SECRET}:password", C: /shop/key}}}}
sidecars: [{{name: log, image: x, secrets: {{D: /log/key}}}}]
""",
    ).config
    log = "arn:aws:ssm:us-east-1:123456789012:parameter/log/key"
    assert secret_arns(config, "us-east-1", "123456789012") == ([log, PARAMETER], [SECRET])


def test_a_sidecars_repository_is_known_by_its_image(tmp_path: Path) -> None:
    image = "210987654321.dkr.ecr.eu-west-1.amazonaws.com/tools/proxy:v1"
    config = settings(tmp_path, f"sidecars: [{{name: a, image: '{image}'}}, {{name: b, image: x}}]").config
    assert repository_arns(config) == ["arn:aws:ecr:eu-west-1:210987654321:repository/tools/proxy"]


@pytest.mark.parametrize(
    ("cpu", "memory"),
    [
        *((256, memory) for memory in (512, 1024, 2048)),
        *((512, memory) for memory in (1024, 4096)),
        *((1024, memory) for memory in (2048, 8192)),
        *((2048, memory) for memory in (4096, 16384)),
        *((4096, memory) for memory in (8192, 9216, 30720)),
        *((8192, memory) for memory in (16384, 20480, 61440)),
        *((16384, memory) for memory in (32768, 40960, 122880)),
    ],
)
def test_each_size_that_fargate_has_is_taken(tmp_path: Path, cpu: int, memory: int) -> None:
    told = content(tmp_path, f"container: {{cpu: {cpu}, memory: {memory}}}")
    assert (told["cpu"], told["memory"]) == (str(cpu), str(memory))


@pytest.mark.parametrize(
    ("cpu", "memory", "offer"),
    [
        (256, 1536, "512 or 1024 or 2048 MiB"),
        (512, 5120, "1024 to 4096 in steps of 1024 MiB"),
        (4096, 8704, "8192 to 30720 in steps of 1024 MiB"),
        (8192, 17408, "16384 to 61440 in steps of 4096 MiB"),
        (16384, 36864, "32768 to 122880 in steps of 8192 MiB"),
    ],
)
def test_a_size_that_fargate_lacks_is_told_with_those_it_has(
    tmp_path: Path, cpu: int, memory: int, offer: str
) -> None:
    assert problems(tmp_path, f"container: {{cpu: {cpu}, memory: {memory}}}") == [
        f"container.memory: Fargate gives {cpu} CPU units {offer}, not {memory}"
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("container: {secrets: {A: /a}, environment: {A: b}}", "container.secrets.A"),
        ("container: {stop_timeout: 3m}", "container.stop_timeout"),
        ("container: {ephemeral_storage: 20}", "container.ephemeral_storage"),
        ("container: {architecture: arm}", "container.architecture"),
        ("container: {health_check: {command: x, interval: 2s}}", "container.health_check.interval"),
        ("container: {health_check: {command: x, timeout: 2m}}", "container.health_check.timeout"),
        ("container: {health_check: {command: x, start_period: 6m}}", "container.health_check.start_period"),
        ("container: {health_check: {command: ''}}", "container.health_check.command"),
        ("container: {health_check: {command: x, retry: 3}}", "container.health_check.retry"),
        ("container: {depends_on: {log: start}}", "container.depends_on.log"),
        ("container: {depends_on: {web: start}}", "container.depends_on.web"),
        (
            "container: {depends_on: {log: healthy}}\nsidecars: [{name: log, image: x}]",
            "container.depends_on.log",
        ),
        (
            "container: {depends_on: {log: success}}\nsidecars: [{name: log, image: x}]",
            "container.depends_on.log",
        ),
        (
            "container: {depends_on: {log: start}}\nsidecars: [{name: log, image: x, depends_on: {web: start}}]",
            "container.depends_on",
        ),
        ("container: {read_only: yes}\nservice: {exec: yes}", "container.read_only"),
        ("sidecars: [{name: web, image: x}]", "sidecars"),
        ("sidecars: [{name: log, image: x, ports: [80]}]", "sidecars"),
        ("sidecars: [{name: log, image: x, stop_timeout: 3m}]", "sidecars[0].stop_timeout"),
        ("task_role: {policies: [AdministratorAccess]}", "task_role.policies[0]"),
        ("task_role: {statements: [{actions: [], resources: [x]}]}", "task_role.statements[0].actions"),
        ("execution_role: {kms_keys: [alias/a]}", "execution_role.kms_keys[0]"),
        ("service: {platform_version: newest}", "service.platform_version"),
        ("service: {scale: {min: 3, max: 2, cpu: 60}}", "service.scale.min"),
        ("service: {tasks: 5, scale: {min: 1, max: 2, cpu: 60}}", "service.tasks"),
        ("service: {scale: {min: 1, max: 2}}", "service.scale"),
        ("service: {scale: {min: 1, max: 2, memory: 60, cpu: 101}}", "service.scale.cpu"),
        (
            "service: {scale: {min: 1, max: 2, cpu: 60, scale_in_cooldown: 5}}",
            "service.scale.scale_in_cooldown",
        ),
    ],
)
def test_what_no_task_could_run_with_is_refused_before_aws_is_asked(
    tmp_path: Path, text: str, path: str
) -> None:
    assert [problem.split(": ")[0] for problem in problems(tmp_path, text)] == [path]


@pytest.mark.parametrize(
    "written", ["hunter2", "arn:aws:secretsmanager:us-east-1:123456789012:secret:a", "12345"]
)
def test_a_secret_that_is_no_reference_is_refused_and_never_shown(tmp_path: Path, written: str) -> None:
    (problem,) = problems(tmp_path, f"container: {{secrets: {{KEY: {written}}}}}")
    assert problem.startswith("container.secrets.KEY: must")
    assert written not in problem


def test_scaling_may_be_left_out_of_an_environment(tmp_path: Path) -> None:
    assert settings(tmp_path, "service: {scale: null}").config.service.scale is None


def test_the_parts_of_a_definition_have_names_and_say_what_ecs_adds(tmp_path: Path) -> None:
    told = parts(content(tmp_path, "container: {environment: {B: '2', A: '1'}, secrets: {C: /c}}"))
    assert (told["architecture"], told["ephemeralStorage"]) == ("X86_64", 20)
    web = told["container web"]
    assert (web["environment"], web["secrets"]) == ({"A": "1", "B": "2"}, {"C": "/c"})


def test_the_parts_leave_out_what_every_release_sets_anew() -> None:
    mine = Settings(env="dev", config=Config(app="shop"))
    assert parts(build(mine, PLACE, "one", "v1")) == parts(build(mine, PLACE, "another", "v2"))
