"""Drives one deployment along a script: what a step is, what may interrupt it, and how it ends.

A script is a generator that yields while it must wait, so the lifecycle reads from top to bottom. `step` is called a
few times a second and never blocks. Short pauses are timed by when they were due, not by when a step happened to come,
so that the order and the length of things are the same at any speed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import datetime, timedelta

from bgdeploy.sandbox.codedeploy import ends, targets
from bgdeploy.sandbox.codedeploy.ends import EndedError
from bgdeploy.sandbox.codedeploy.model import Deployment, Event
from bgdeploy.sandbox.codedeploy.ports import Ports
from bgdeploy.sandbox.codedeploy.unverified import Unverified

Script = Generator[None, None, None]

# Alarms act within seconds: forced into ALARM, a deployment was stopped and undone in 23 s (aws-facts 4.1).
ALARM_POLL = timedelta(seconds=10)
# A step that comes late starts the next wait at most this much in the past, so a stall never bunches a shift up.
_LAG = timedelta(seconds=10)


class Run:
    """One deployment under way."""

    def __init__(
        self,
        deployment: Deployment,
        script: Callable[[Run], Script],
        ports: Ports,
        unverified: Unverified,
        on_end: Callable[[Deployment, EndedError], None],
    ) -> None:
        self.deployment = deployment
        self.ports = ports
        self.unverified = unverified
        self.at = deployment.created  # how far this run has come in time; never later than now
        self._script = script(self)
        self._on_end = on_end
        self._next_poll = deployment.created

    @property
    def now(self) -> datetime:
        return self.ports.clock.now()

    def step(self) -> None:
        """Advance as far as the clock, the other services and whoever interferes allow."""
        if self.deployment.over:
            return
        try:
            self._obey_interruption()
            self.watch_alarms()
            next(self._script)
        except StopIteration:
            self._finish("Succeeded")
        except EndedError as ended:
            self._end(ended)
        except Exception:
            self._end(ends.internal_error())
            raise

    # -- what scripts are written with

    def begin(self) -> None:
        """Leave Created. An alarm that is active already stops the deployment here (aws-facts 4.1)."""
        self.deployment.status = "InProgress"
        self.deployment.started = self.at
        self._next_poll = self.at
        self.watch_alarms()

    def pause(self, duration: timedelta) -> Script:
        """Wait for `duration`."""
        due = self.at + duration
        while self.now < due:
            yield
        self.at = max(due, self.now - _LAG)

    def until(self, condition: Callable[[], bool], limit: timedelta) -> Generator[None, None, bool]:
        """Wait until `condition` holds and return True, or False when it did not within `limit`."""
        deadline = self.at + limit
        while not condition():
            if self.now >= deadline:
                self.at = max(deadline, self.now - _LAG)
                return False
            yield
        self.at = self.now
        return True

    def event(self, event: Event, body: Script) -> Script:
        """Run `body` as the lifecycle event `event`. An event that is cut short is marked by the end."""
        self._mark(event, "InProgress")
        event.start = self.at
        yield from body
        event.end = self.at
        self._mark(event, "Succeeded")

    def watch_alarms(self) -> None:
        """Raise EndedError when an alarm of the plan is active; asks CloudWatch every ten seconds."""
        deployment, now = self.deployment, self.now
        if deployment.started is None or now < self._next_poll or not deployment.plan.alarms:
            return
        if deployment.termination_wait_started and not self.unverified.alarms_stop_the_termination_wait:
            return
        self._next_poll = now + ALARM_POLL
        states = {
            name: self.ports.alarms.state(name, deployment.plan.region) for name in deployment.plan.alarms
        }
        missing = "ALARM" if self.unverified.missing_alarm_stops else None
        active = [name for name, state in states.items() if (state or missing) == "ALARM"]
        if active:
            raise ends.alarms_active(active)

    # -- ends

    def _obey_interruption(self) -> None:
        if self.deployment.interruption is not None:
            raise self.deployment.interruption

    def _end(self, ended: EndedError) -> None:
        """The running event fails, what was still to come is skipped (aws-facts 3)."""
        self._script.close()
        self.at = self.now
        deployment = self.deployment
        deployment.error = ended
        for event in deployment.events:
            if event.status == "InProgress":
                event.status, event.end = "Failed", self.at
            elif event.status == "Pending":
                event.status = "Skipped"
        self._finish(ended.status)
        self._on_end(deployment, ended)

    def _finish(self, status: str) -> None:
        deployment = self.deployment
        deployment.status = status
        deployment.completed = deployment.updated = self.at
        deployment.task_sets = targets.task_sets(deployment, self.ports)

    def _mark(self, event: Event, status: str) -> None:
        event.status = status
        self.deployment.updated = self.at
