"""How strategies are written, what CodeDeploy makes of them, and which it would refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.sandbox.codedeploy import configs
from bgdeploy.sandbox.world import RefusedError
from bgdeploy.strategy import PREDEFINED, Strategy, made_for, parse, stepwise, strategy_problems


@pytest.mark.parametrize(
    ("written", "config"),
    [
        ("all-at-once", "CodeDeployDefault.ECSAllAtOnce"),
        ("canary 10% 5m", "CodeDeployDefault.ECSCanary10Percent5Minutes"),
        ("canary  10%  15m", "CodeDeployDefault.ECSCanary10Percent15Minutes"),
        ("linear 10% 60s", "CodeDeployDefault.ECSLinear10PercentEvery1Minutes"),
        ("linear 10% 3m", "CodeDeployDefault.ECSLinear10PercentEvery3Minutes"),
        ("canary 25% 45m", "shop-dev-Canary25Percent45Minutes"),
        ("linear 20% 1h30m", "shop-dev-Linear20PercentEvery90Minutes"),
        ("CodeDeployDefault.ECSLinear10PercentEvery3Minutes",) * 2,
        ("Blue.Green+Slowly",) * 2,
    ],
)
def test_codedeploys_own_config_is_used_where_it_has_one(written: str, config: str) -> None:
    assert parse(written).config("shop-dev") == config
    assert parse(written).predefined == (config in PREDEFINED)


@pytest.mark.parametrize(
    ("written", "wrong"),
    [
        (
            "canary 0% 90s",
            ("whole percents from 1% to 99%, not '0%'", "whole minutes, at least 1m, not '90s'"),
        ),
        ("linear 12.5% soon", ("whole percents from 1% to 99%, not '12.5%'", "a duration such as 90s")),
        ("canary 10 5m", ("whole percents from 1% to 99%, not '10'",)),
        ("canary 100% 2d1m", ("not '100%'", "at most 2880 minutes (2 days), not '2d1m'")),
        ("linear 10% 5h", ("10 steps with 300 minutes each are 3000 minutes",)),
        ("linear 10%", ("must be all-at-once, canary P% D",)),
        ("cannary 10% 5m", ("must be all-at-once, canary P% D",)),
        ("all-at-onec", ("did you mean 'all-at-once'?",)),
        ("linear", ("such as 'canary 10% 5m'",)),
        (
            "CodeDeployDefault.ECSLinear10PercentEvery1Minute",
            ("did you mean CodeDeployDefault.ECSLinear10PercentEvery1Minutes?",),
        ),
        ("", ("must be all-at-once",)),
    ],
)
def test_everything_that_is_wrong_is_told_at_once(written: str, wrong: tuple[str, ...]) -> None:
    found = strategy_problems(written)
    assert len(found) == len(wrong), found
    assert all(part in problem for part, problem in zip(wrong, found, strict=True)), found
    with pytest.raises(ValueError, match=r"."):
        parse(written)


@given(st.sampled_from(["canary", "linear"]), st.integers(-1, 101), st.integers(0, 3000))
def test_what_is_well_codedeploy_takes_and_what_is_not_it_refuses(
    kind: str, percent: int, minutes: int
) -> None:
    word = {"canary": ("TimeBasedCanary", "canary"), "linear": ("TimeBasedLinear", "linear")}[kind]
    block = {f"{word[1]}Percentage": percent, f"{word[1]}Interval": minutes}
    routing = {"type": word[0], f"timeBased{kind.capitalize()}": block}
    problems = strategy_problems(f"{kind} {percent}% {minutes}m")
    asked = {"deploymentConfigName": "x", "computePlatform": "ECS", "trafficRoutingConfig": routing}
    if problems:
        with pytest.raises(RefusedError):
            configs.check(asked, existing=0)
    else:
        configs.check(asked, existing=0)
        assert parse(f"{kind} {percent}% {minutes}m").routing == routing


def test_a_stack_knows_the_configs_that_were_made_for_it() -> None:
    mine = [parse(text).config("shop-dev") for text in ("canary 25% 45m", "linear 25% 45m")]
    assert all(made_for("shop-dev", config) for config in mine)
    others = ["CodeDeployDefault.ECSAllAtOnce", "shop-dev-slow", parse("canary 25% 45m").config("shop-dev-2")]
    assert not any(made_for("shop-dev", config) for config in others)
    assert not made_for("shop", mine[0])


def test_a_named_config_says_nothing_of_what_it_does() -> None:
    assert parse("their-way").routing == {}
    assert parse("all-at-once") == Strategy("all-at-once")


@pytest.mark.parametrize("written", ["canary 25% 45m", "canary 10% 5m", "linear 10% 1m", "linear 30% 3m"])
def test_the_name_of_a_config_says_how_it_moves_traffic(written: str) -> None:
    made = parse(written)
    assert stepwise(made.config("shop-dev")) == made


@pytest.mark.parametrize("name", ["CodeDeployDefault.ECSAllAtOnce", "careful", "Canary0Percent5Minutes"])
def test_a_name_that_says_nothing_of_steps_is_not_guessed_at(name: str) -> None:
    assert stepwise(name) is None
