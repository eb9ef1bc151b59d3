"""One deployment, followed in front of whoever started the program: shown as it goes, told when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from bgdeploy.cli import cancelling
from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.errors import WARNING, BgdeployError, Exit

if TYPE_CHECKING:
    from bgdeploy.release.attending.attendant import Attendant
    from bgdeploy.release.checks import ChecksState
    from bgdeploy.release.ending import Ending
    from bgdeploy.release.reader import Reader
    from bgdeploy.release.records.record import Record
    from bgdeploy.release.snapshot import Snapshot
    from bgdeploy.release.start import Started
    from bgdeploy.release.watch import Frame, Silence, Until


class Attendance(Protocol):
    """What a following needs of whoever runs the checks."""

    @property
    def state(self) -> ChecksState: ...

    def attend(self, snapshot: Snapshot) -> None: ...

    def close(self) -> None: ...


class Companion(Protocol):
    """Who goes along with a following and makes something of it; it never keeps the following waiting, or ends it."""

    def see(self, frame: Frame) -> None: ...

    def end(self, ended: Ending) -> None: ...


def attendant(invocation: Invocation, reader: Reader, record: Record | None = None) -> Attendant:
    """Return who runs the checks of what `reader` reads, for whoever started the program."""
    from bgdeploy.release.attending.attendant import Attendant
    from bgdeploy.release.attending.foreign import record_for
    from bgdeploy.release.attending.opening import Caller

    settings = invocation.settings()
    return Attendant(
        reader.aws,
        reader.target,
        record,
        folder=invocation.project,
        interactive=invocation.interactive,
        early=settings.config.deployment.early_fail,
        caller=Caller.of(settings, invocation.environ),
        otherwise=lambda snapshot: record_for(snapshot, settings),
    )


def how_far(invocation: Invocation, begun: Started, asked: Until | None) -> Until:
    """Return how far to follow: as asked, else as far as it takes. Checks after the shift need somebody who follows."""
    if not begun.record.guarded:
        return asked or ("finished" if begun.scaling_suspended else "shifted")
    if asked == "shifted":
        attach = invocation.spelled(f"`bgdeploy watch {begun.deployment_id}`")
        invocation.say(f"{WARNING}checks go on after the shift, but only while somebody follows: {attach}")
        return asked
    invocation.say("checks go on after the shift, so this follows until the old version is removed")
    return "finished"


@dataclass
class Following:
    """The following of one deployment in front of whoever started the program."""

    invocation: Invocation
    reader: Reader
    deployment: str
    attendant: Attendance | None  # None: the checks are somebody else's
    started: bool = False  # by this very process
    judge: Callable[[Ending], Ending] = lambda ended: ended  # what its ending is to whoever follows it
    companions: tuple[Companion, ...] = ()
    frame: Frame | None = None  # the newest that was shown

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest that was shown, None before the first."""
        return self.frame.snapshot if self.frame else None

    def follow(self, until: Until, timeout: float | None) -> Ending:
        """Follow it and return how it ended; Ctrl-C, at whatever moment, ends the following and not the deployment."""
        from bgdeploy.release.ending import detached

        interrupts = self.invocation.interrupts
        try:
            try:
                interrupts.let_through()
                self._sweep()
                ended = self._follow(until, timeout)
                interrupts.end()  # here, so that none comes between the ending and what is below
            except KeyboardInterrupt:
                ended = detached(self.snapshot, self.deployment)
            if ended.exit is Exit.INTERRUPTED and cancelling.stops(self.invocation):
                ended = self._cancel(ended)
        finally:
            interrupts.end()
            if self.attendant:
                self.attendant.close()
        ended = self._told(self.judge(ended))
        for companion in self.companions:
            companion.end(ended)
        return ended

    def _cancel(self, left: Ending) -> Ending:
        """Stop what is followed, follow that for as long as there may be time, and return how it ended."""
        from bgdeploy.clock import speed_of
        from bgdeploy.release.ending import cancelled

        invocation = self.invocation
        try:
            said = cancelling.stop(invocation, self.reader, left.deployment)
        except BgdeployError as error:
            return replace(left, why=(*left.why, f"it could not be stopped: {error.message}"))
        try:
            invocation.interrupts.again()
            ended = self._follow("finished", cancelling.GRACE * speed_of(self.reader.aws.clock))
            invocation.interrupts.end()
        except (KeyboardInterrupt, BgdeployError):
            ended = left
        if ended.exit not in {Exit.INTERRUPTED, Exit.GAVE_UP_WAITING}:
            return ended
        return cancelled(self.snapshot, left.deployment, said)

    def _told(self, ended: Ending) -> Ending:
        """Return the ending with what is told beside it: whether auto scaling is back."""
        if ended.exit is Exit.INTERRUPTED:
            self.invocation.end_echo()
            return ended
        self._sweep()
        scaling = self._restore_scaling()
        return replace(ended, why=(*ended.why, scaling)) if scaling else ended

    def _sweep(self) -> None:
        """Close the test port for those who were killed while they ran checks, or say why that cannot be."""
        from bgdeploy.aws import translated
        from bgdeploy.names import Names
        from bgdeploy.release.attending.opening import sweep

        # Where nobody is let in, no policy allows to look for who was.
        if not self.invocation.settings().config.load_balancer.lets_callers_in:
            return
        try:
            told = sweep(self.reader.aws, Names(self.reader.target.group))
        except Exception as error:  # nobody waits for it: whoever comes by next tries again
            sentence = translated(error)
            if sentence is None:
                raise
            told = f"{WARNING}the test port may still be open to somebody: {sentence.message}"
        if told:
            self.invocation.say(told)

    def _restore_scaling(self) -> str:
        """Give auto scaling back if the deployment is over, outlasting AWS's troubles, and return what came of it."""
        from bgdeploy.aws import retry, sentence_of
        from bgdeploy.release.records.record import key_of
        from bgdeploy.release.scaling import restore
        from bgdeploy.release.watch import passing

        key = key_of(self.frame.snapshot.deployment.description) if self.frame else None
        try:
            return retry(
                self.reader.aws, lambda: restore(self.reader, key), lambda error: passing(error) is not None
            )
        except Exception as error:  # how the deployment ended is told in any case
            told = sentence_of(error)
            if told is None:
                raise
            return f"auto scaling may still be suspended: {told.message}; `bgdeploy watch` tries again"

    def _follow(self, until: Until, timeout: float | None) -> Ending:
        from bgdeploy.cli.steering import steering
        from bgdeploy.release.ending import cancelled
        from bgdeploy.release.watch import follow
        from bgdeploy.views.release import showing

        invocation = self.invocation
        console = invocation.err
        with (
            self._goes_on(),
            steering(invocation, self.reader) as steer,
            showing(console, invocation.signs(console), invocation.watched, lambda: steer.panel) as show,
        ):

            def hear(silence: Silence) -> None:
                if not invocation.quiet:
                    invocation.throttling_told = invocation.watched  # the board tells it
                    show(silence)

            def keep_and_show(frame: Frame) -> None:
                self.frame, invocation.throttling_told = frame, True
                steer.see(frame)
                if not invocation.quiet:
                    show(frame)
                for companion in self.companions:
                    companion.see(frame)

            ended = follow(
                self.reader,
                self.deployment,
                attendant=self.attendant,
                until=until,
                timeout=timeout,
                show=keep_and_show,
                hear=hear,
            )
        if ended.exit is Exit.INTERRUPTED and steer.stopped is not None:
            return cancelled(self.snapshot, ended.deployment, steer.stopped, how="stopped watching")
        return ended

    @contextmanager
    def _goes_on(self) -> Iterator[None]:
        """Have an error that ends the following say that the deployment goes on, and how to attach again."""
        from bgdeploy.aws import sentence_of

        try:
            yield
        except Exception as error:
            told = sentence_of(error)
            if told is None or not (self.started or self.frame):
                raise
            on = f"deployment {self.deployment} goes on: `bgdeploy watch {self.deployment}` follows it"
            hint = "; ".join(part for part in (told.hint, on) if part)
            raise BgdeployError(told.message, hint, {**told.result, "deployment": self.deployment}) from error

    def result(self, ended: Ending, more: Mapping[str, Any] | None = None) -> Result:
        """Return the ending: the card for people, and all of it for programs."""
        from bgdeploy.views.finished import Finished

        invocation = self.invocation
        spelled = replace(
            ended,
            why=tuple(map(invocation.spelled, ended.why)),
            next=tuple(map(invocation.spelled, ended.next)),
        )

        def text() -> Any:
            from bgdeploy.views.card import card

            out = invocation.out
            return card(spelled, invocation.signs(out), out.width)

        failed = ended.exit is not Exit.DONE
        state = self.attendant.state if self.attendant else None
        return Result(
            {
                **spelled.as_dict(),
                **(more or {}),
                "checks": _plain(state) if state else None,
            },
            text,
            exit=ended.exit,
            error=(ended.headline, "; ".join(ended.next)) if failed else None,
            finished=Finished(spelled, self.snapshot, state),
        )


def _plain(state: ChecksState) -> dict[str, Any]:
    """Return the checks as plain data, those after the shift among them; how far one is now is for boards alone."""
    results = [
        {
            name: value
            for name, value in {**asdict(one), "passed": one.passed}.items()
            if name not in {"live", "left", "due"}
        }
        for one in state.results
    ]
    after = _plain(state.after) if state.after else None
    return {"stage": state.stage, "by": state.owner, "results": results, "after": after}
