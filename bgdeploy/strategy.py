"""How production traffic moves to the new version, in our words and in CodeDeploy's. Pure."""

from __future__ import annotations

import difflib

_PREFIX = "CodeDeployDefault.ECS"

# CodeDeploy predefines exactly these five for ECS (aws-facts 5.3).
PREDEFINED = {
    "all-at-once": f"{_PREFIX}AllAtOnce",
    "canary 10% 5m": f"{_PREFIX}Canary10Percent5Minutes",
    "canary 10% 15m": f"{_PREFIX}Canary10Percent15Minutes",
    "linear 10% 1m": f"{_PREFIX}Linear10PercentEvery1Minutes",
    "linear 10% 3m": f"{_PREFIX}Linear10PercentEvery3Minutes",
}


def config_name(strategy: str) -> str:
    """Return the name of the CodeDeploy deployment config that `strategy` asks for.

    Raises ValueError with a sentence when CodeDeploy has none such.
    """
    words = " ".join(strategy.split())
    name = PREDEFINED.get(words, words)
    if name not in PREDEFINED.values():
        near = difflib.get_close_matches(words, PREDEFINED, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"must be one of {', '.join(PREDEFINED)}, not {strategy!r}{meant}")
    return name


def strategy_problem(strategy: str) -> str | None:
    """Return what is wrong with `strategy`, None when nothing is."""
    try:
        config_name(strategy)
    except ValueError as error:
        return str(error)
    return None
