"""`init` and `config`: the project's own files. No AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bgdeploy.cli.invocation import Invocation, Result

BASE = Path("config/base.yaml")


@click.command()
@click.pass_obj
def init(invocation: Invocation) -> Result:
    """Write a starter project here, named after the folder; never overwrites."""
    from bgdeploy import starter

    app = starter.app_name(invocation.project.resolve().name)
    written, kept = starter.write(invocation.project, app)
    lines = [f"wrote {path}" for path in written] + [f"kept  {path} (it was here already)" for path in kept]
    if BASE in written:
        lines.append(
            f"the application is called {app}: before it is provisioned, {BASE} is where to change that"
        )
    lines.append("next: bgdeploy --sandbox provision, then bgdeploy --sandbox release v1")
    data = {"written": [str(path) for path in written], "kept": [str(path) for path in kept]}
    return Result(data, "\n".join(lines))


@click.group()
def config() -> None:
    """Print the config, or the schema that editors complete it with."""


@config.command()
@click.pass_obj
def show(invocation: Invocation) -> Result:
    """Print the config of this environment, defaults included."""
    import msgspec
    import yaml

    settings = invocation.settings()
    plain = msgspec.to_builtins(settings.config, enc_hook=str)
    return Result(
        {"env": settings.env, "stack": settings.names.stack, "config": plain},
        yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).rstrip(),
        document=True,
    )


@config.command()
def schema() -> Result:
    """Print the JSON Schema of the config files."""
    import msgspec

    from bgdeploy.config import Config
    from bgdeploy.quantities import QUANTITIES, Limit

    def hook(kind: type) -> dict[str, Any]:
        for written in QUANTITIES:
            if kind is written:
                types = ["string", "number"] if kind is Limit else "string"
                return {"type": types, "pattern": written.pattern()}
        raise NotImplementedError

    document = msgspec.json.schema(Config, schema_hook=hook)
    # `none` is how people write that there is none of it; the type says null.
    for kind, key in (("Deployment", "approval"), ("LoadBalancer", "stickiness")):
        document["$defs"][kind]["properties"][key]["anyOf"].append({"const": "none"})
    return Result(document, json.dumps(document, indent=2), document=True)
