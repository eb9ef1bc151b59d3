"""The project's hook_lambda/: whether it can do what the config asks of it. Its files are read, and never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from bgdeploy.config import Config
from bgdeploy.errors import UsageError

# What handler.py says of itself: the number is how it and bgdeploy talk with each other.
_NAME = "PROTOCOL"
CLAIMS = 1  # it leaves the answer to whoever claims the checks
CHECKS = 2  # and runs them itself where CHECKS_FROM says so


def require_hook(project: Path, config: Config) -> None:
    """Raise UsageError when a file is missing without which no hook can answer."""
    if not (project / "hook_lambda" / "handler.py").is_file():
        raise UsageError(
            "the project has no hook_lambda/handler.py, which answers CodeDeploy's hook",
            "`bgdeploy init` writes the one that bgdeploy brings along",
        )
    if config.checks_from == "hook" and not (project / "hook_lambda" / "checks.py").is_file():
        raise UsageError(
            "the project has no hook_lambda/checks.py, with which the hook runs checks (checks_from: hook)",
            "`bgdeploy init` writes it, and leaves what is there",
        )


def hook_doubts(folder: Path, config: Config) -> Iterator[tuple[str, str]]:
    """Yield what handler.py may not be able to do, and what to do about it.

    None of it stops anybody: it may be somebody's own, and able to do it all the same.
    """
    try:
        found = protocol((folder / "handler.py").read_bytes())
    except (SyntaxError, ValueError) as error:
        yield (
            f"hook_lambda/handler.py cannot be read as Python here: {error}",
            "mend it: when Lambda's Python 3.12 cannot read it either, CodeDeploy waits an hour for an answer",
        )
        return
    if config.checks_from == "hook" and found < CHECKS:
        yield (
            "hook_lambda/handler.py is older than checks_from: hook: it waits for somebody to run the checks, and "
            "fails the release when nobody does",
            "move it away, and `bgdeploy init` writes the one that bgdeploy brings along; if it runs them all the "
            f"same, write {_NAME} = {CHECKS} into it",
        )


def protocol(source: bytes) -> int:
    """Return the protocol that a handler's source declares. Raises SyntaxError and ValueError for what is no source.

    One without a declaration is from before there was any, or somebody's own: then what it reads tells.
    """
    tree = ast.parse(source, "handler.py")
    for statement in reversed(tree.body):
        targets = (
            statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        )
        if any(isinstance(target, ast.Name) and target.id == _NAME for target in targets):
            declared = getattr(statement, "value", None)
            if isinstance(declared, ast.Constant) and type(declared.value) is int:
                return declared.value
    asks = any(isinstance(node, ast.Constant) and node.value == "CHECKS_FROM" for node in ast.walk(tree))
    return CHECKS if asks else CLAIMS
