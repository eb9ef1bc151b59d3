"""What people are told of a release who do not watch it: as text, and as the JSON that Slack takes. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bgdeploy.release.occasions import Occasion
from bgdeploy.release.phase import new_version, old_version, replaces_placeholder, wait
from bgdeploy.views.theme import printable

_LONGEST_SUBJECT = 100  # characters, of ASCII alone (SNS's Publish)
_LONGEST_SECTION = 2900  # characters; Slack takes 3000

Spell = Callable[[str], str]  # commands as they are to be typed


@dataclass(frozen=True)
class Notice:
    """What somebody is told."""

    headline: str
    about: str  # which stack, which deployment, who started it
    good: bool | None  # None: neither, somebody is to act or to wait
    lines: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The headline as SNS takes it."""
        return self.headline.encode("ascii", "replace").decode("ascii")[:_LONGEST_SUBJECT]

    @property
    def text(self) -> str:
        """All of it as plain text."""
        commands = "\n".join(f"  {command}" for command in self.commands)
        parts = (self.headline, "\n".join(self.lines), commands, self.about)
        return "\n\n".join(part for part in parts if part) + "\n"

    def slack(self) -> dict[str, Any]:
        """Return what Slack's incoming webhooks take, and those of others that take the same."""
        sign = {True: "✅", False: "❌", None: "⏳"}[self.good]
        blocks = [_section(f"{sign} *{_escaped(self.headline)}*")]
        if self.lines:
            blocks.append(_section("\n".join(map(_escaped, self.lines))))
        if self.commands:
            commands = "\n".join(command.replace("`", "'") for command in self.commands)
            blocks.append(_section(f"```{_escaped(commands)[: _LONGEST_SECTION - 6]}```"))
        about = {"type": "plain_text", "text": self.about[:_LONGEST_SECTION]}
        blocks.append({"type": "context", "elements": [about]})
        return {"text": _escaped(f"{sign} {self.headline}"), "blocks": blocks}


def notice(occasion: Occasion, by: str, spell: Spell) -> Notice:
    """Return what people are told on an occasion of a deployment that was started `by` somebody."""
    snapshot = occasion.snapshot
    headline, good, lines, commands = _told(occasion)
    clean = [printable(line) for line in lines]
    return Notice(
        printable(f"{snapshot.target.group}: {headline}"),
        printable(f"stack {snapshot.target.group} · deployment {occasion.deployment} · started by {by}"),
        good,
        tuple(map(spell, clean)),
        tuple(spell(printable(command)) for command in commands),
    )


_Told = tuple[str, "bool | None", tuple[str, ...], tuple[str, ...]]


def _told(occasion: Occasion) -> _Told:
    snapshot, ended = occasion.snapshot, occasion.ending
    version, ident = new_version(snapshot) or "a new version", occasion.deployment
    if ended is not None:
        left = ended.kind.value == "cancelled"
        live = tuple(f"{one.listener}: {one.who} {one.percent}%  {one.url}" for one in ended.live)
        return ended.headline, None if left else ended.good, (*ended.why, *live), ended.next
    if occasion.kind == "start":
        old = old_version(snapshot)
        doors = (f"production: {snapshot.production.url}",) if snapshot.production else ()
        over = f", over {old}" if old and not replaces_placeholder(snapshot) else ""
        return f"the release of {version} has begun{over}", None, doors, (f"bgdeploy watch {ident}",)
    steps = (f"bgdeploy promote {ident}", f"bgdeploy stop {ident}")
    doors = (f"test listener: {snapshot.test.url}",) if snapshot.test else ()
    waiting = wait(snapshot)
    until = (f"it waits until {waiting.until:%Y-%m-%d %H:%M:%SZ}",) if waiting else ()
    asks = (
        "waits for approval"
        if occasion.name == "approval"
        else "has inconclusive checks: somebody is to decide"
    )
    return f"{version} {asks}", None, (*until, *doors), steps


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[: _LONGEST_SECTION + 100]}}


def _escaped(text: str) -> str:
    """Return `text` as Slack shows it, and does nothing else with it: `<!channel>` would ring everybody's bell."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
