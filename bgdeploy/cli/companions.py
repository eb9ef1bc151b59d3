"""Who goes along with every following: whoever keeps the story for later, and whoever tells people of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bgdeploy.cli.invocation import Invocation

if TYPE_CHECKING:
    from bgdeploy.cli.following import Companion
    from bgdeploy.release.reader import Reader


def companions(invocation: Invocation, reader: Reader) -> tuple[Companion, ...]:
    """Return who goes along with a following of what `reader` reads."""
    from bgdeploy.cli.notifying import Notifier
    from bgdeploy.release.records.keeper import Keeper

    keeper = Keeper(reader.aws, reader.target.bucket)
    whom = invocation.settings().config.notifications
    return (keeper, Notifier(invocation, reader, whom)) if whom else (keeper,)
