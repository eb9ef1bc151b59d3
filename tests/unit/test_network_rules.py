"""What people cannot mean of networks and load balancers is told before AWS hears of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bgdeploy.config import Config
from bgdeploy.project import ConfigError, load

USED = "network: {use: {vpc: vpc-0a, load_balancer_subnets: [subnet-0a, subnet-0b], task_subnets: {Tier: private}}}"
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/shared/50dc6c495c0c9188"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"


def config(folder: Path, text: str, dev: str = "") -> Config:
    (folder / "config").mkdir()
    (folder / "config/base.yaml").write_text(f"app: shop\n{text}", encoding="utf-8")
    (folder / "config/dev.yaml").write_text(dev, encoding="utf-8")
    return load(folder, "dev", {}).config


def problems(folder: Path, text: str, dev: str = "") -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        config(folder, text, dev)
    return [(problem.path, problem.text) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "text",
    [
        "network: {create: {zones: 3, private: nat}}",
        USED,
        f"network: {{use: {{vpc: {{Name: main}}, task_subnets: [subnet-0a]}}}}\nload_balancer: {{use: '{ARN}'}}",
        f"load_balancer: {{production: {{port: 443, certificate: '{CERTIFICATE}', redirect_http: true}}}}",
        "load_balancer: {stickiness: none, idle_timeout: 4000s, access_logs: {bucket: logs}, host: shop.example.com}",
    ],
)
def test_what_people_have_can_be_said(tmp_path: Path, text: str) -> None:
    assert config(tmp_path, text).app == "shop"


def test_without_a_word_about_it_a_network_is_created() -> None:
    network = Config(app="shop").network
    assert network.made is not None
    assert (network.made.cidr, network.made.zones, network.made.private) == ("10.20.0.0/16", 2, "none")


def test_an_environment_uses_a_network_where_another_creates_one(tmp_path: Path) -> None:
    base, dev = "network: {create: {cidr: 10.1.0.0/16}}", USED.replace("{use", "{create: null, use")
    assert config(tmp_path, base, dev).network.made is None


def test_a_network_is_created_or_used_and_never_both(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "network: {create: {cidr: 10.1.0.0/16}}", USED)
    assert problem == (
        "network.use",
        "cannot stand beside network.create: write `create: null` where another file creates one",
    )


@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        ("network: {create: {zones: 4}}", "network.create.zones", "must be one of 2, 3"),
        (
            "network: {create: {private: yes}}",
            "network.create.private",
            "must be one of none, nat, endpoints",
        ),
        ("network: {create: {cidr: 10.0.0.0/8}}", "network.create.cidr", "of size /16 to /24"),
        (USED.replace("vpc-0a", "main"), "network.use.vpc", "must be vpc-… or a mapping of tags, not 'main'"),
        (USED.replace("subnet-0a", "vpc-0a"), "network.use.load_balancer_subnets", "must be subnet-…"),
        (USED.replace("{Tier: private}", "[]"), "network.use.task_subnets", "is missing"),
        (
            USED.replace("{Tier: private}", "Tier"),
            "network.use.task_subnets",
            "a list of ids, or a mapping of tags",
        ),
        (f"load_balancer: {{use: '{ARN}'}}", "load_balancer.use", "needs network.use"),
        (
            "load_balancer: {use: shared}",
            "load_balancer.use",
            "must be the ARN of an application load balancer",
        ),
        (
            f"{USED}\nload_balancer: {{use: '{ARN}'}}",
            "network.use.load_balancer_subnets",
            "is not needed beside load_balancer.use",
        ),
        ("load_balancer: {production: {port: 8080}}", "load_balancer.test.port", "must differ"),
        (
            f"load_balancer: {{production: {{certificate: '{CERTIFICATE}'}}}}",
            "load_balancer.production.port",
            "with a certificate, write port: 443",
        ),
        ("load_balancer: {production: {certificate: mine}}", "load_balancer.production.certificate", "ARN"),
        (
            "load_balancer: {production: {redirect_http: true}}",
            "load_balancer.production.redirect_http",
            "needs a certificate",
        ),
        (
            f"load_balancer: {{test: {{port: 80}}, production: {{port: 443, certificate: '{CERTIFICATE}', "
            "redirect_http: true}}",
            "load_balancer.test.port",
            "80 is where production.redirect_http listens",
        ),
        ("load_balancer: {idle_timeout: 2h}", "load_balancer.idle_timeout", "between 1s and 4000s"),
        ("load_balancer: {stickiness: 8d}", "load_balancer.stickiness", "between 1s and 7d, or none"),
        ("load_balancer: {access_logs: {prefix: a}}", "load_balancer.access_logs.bucket", "is missing"),
        ("load_balancer: {host: 'https://shop'}", "load_balancer.host", "must be a host's name"),
        (
            "load_balancer: {test: {allow: [10.0.0.1/8]}}",
            "load_balancer.test.allow[0]",
            "must be vpc, caller, or a CIDR",
        ),
        (
            "load_balancer: {test: {caller_address: '2001:db8::1'}}",
            "load_balancer.test.caller_address",
            "must be an IPv4 address or CIDR",
        ),
        (
            "load_balancer: {test: {allow: [vpc], caller_address: 203.0.113.7}}",
            "load_balancer.test.caller_address",
            "needs caller among",
        ),
    ],
)
def test_what_could_not_work_is_told_with_a_way_out(tmp_path: Path, text: str, path: str, told: str) -> None:
    found = dict(problems(tmp_path, text))
    assert told in found[path]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("deletion_protection", "true"),
        ("idle_timeout", "2m"),
        ("access_logs", "{bucket: logs}"),
        ("test", "{port: 8080, allow: [203.0.113.7/32]}"),
    ],
)
def test_what_is_somebody_elses_is_theirs_to_set(tmp_path: Path, key: str, value: str) -> None:
    network = "network: {use: {vpc: vpc-0a, task_subnets: [subnet-0a]}}"
    ((path, told),) = problems(tmp_path, f"{network}\nload_balancer: {{use: '{ARN}', {key}: {value}}}")
    assert path == ("load_balancer.test.allow" if key == "test" else f"load_balancer.{key}")
    assert "never changed" in told


@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        ("", "checks_from", "private: nat or endpoints"),
        (
            "network: {create: {private: nat}}\nload_balancer: {test: {allow: [caller]}}",
            "checks_from",
            "must have vpc",
        ),
        (
            "network: {create: {private: nat}}\nchecks: [{name: smoke, command: 'true'}]",
            "checks[0].command",
            "needs checks_from: caller",
        ),
        (
            "network: {create: {private: nat}}\nchecks: [{name: page, get: /, within: 11m}]",
            "checks[0].within",
            "at most 10m",
        ),
    ],
)
def test_what_a_hook_could_not_check_is_told(tmp_path: Path, text: str, path: str, told: str) -> None:
    assert told in dict(problems(tmp_path, f"checks_from: hook\n{text}"))[path]


def test_a_hook_leaves_checks_from_the_shift_on_to_who_follows(tmp_path: Path) -> None:
    load = "{name: load, load: 5 per second for 10s, when: after}"
    later = f"checks: [{load}, {{name: errors, metric: target_5xx_rate, below: 1%}}]"
    read = config(tmp_path, f"checks_from: hook\nnetwork: {{create: {{private: nat}}}}\n{later}")
    assert read.checks_from == "hook"
