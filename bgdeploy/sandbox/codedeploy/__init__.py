"""CodeDeploy for Amazon ECS, whole: its API, and the engine that moves deployments through their lifecycle.

`aws-facts` (the numbers in these comments are its sections) says how AWS behaves; what it leaves open is decided in
`unverified`. From the inside out: `appspec`, `validate`, `configs`, `groups` and `deployments` are pure;
`run` drives one deployment along `lifecycle` or `rollback`; the `api_*` modules answer requests; this ties them up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from bgdeploy.sandbox.codedeploy import rollback
from bgdeploy.sandbox.codedeploy.api_applications import ApplicationsApi
from bgdeploy.sandbox.codedeploy.api_deployments import DeploymentsApi, last_good_revision
from bgdeploy.sandbox.codedeploy.api_groups import GroupsApi
from bgdeploy.sandbox.codedeploy.aws_ports import BucketReader
from bgdeploy.sandbox.codedeploy.ends import EndedError
from bgdeploy.sandbox.codedeploy.lifecycle import deploy
from bgdeploy.sandbox.codedeploy.model import Deployment, Members, Rollback
from bgdeploy.sandbox.codedeploy.ports import Ports
from bgdeploy.sandbox.codedeploy.run import Run, Script
from bgdeploy.sandbox.codedeploy.store import Store
from bgdeploy.sandbox.codedeploy.unverified import Unverified
from bgdeploy.sandbox.world import Call, Handler, World

__all__ = ["CodeDeploy", "Unverified"]

_Operation = Callable[[Store, Mapping[str, Any], datetime], Members]


class CodeDeploy:
    """The part of the world that is CodeDeploy. Its `ports` are the world's other parts unless others are given."""

    def __init__(
        self, world: World, unverified: Unverified | None = None, ports: Ports | None = None
    ) -> None:
        self._world = world
        self._unverified = unverified or Unverified()
        self._given_ports = ports
        self._stores: dict[str, Store] = {}
        self._runs: dict[str, Run] = {}
        self._apis = (
            ApplicationsApi(),
            GroupsApi(lambda: self._ports, self._unverified),
            DeploymentsApi(lambda: self._ports, self._unverified, self._start, self._step),
        )

    @cached_property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        """Every public method of the APIs, under the name that AWS gives it."""
        found = (
            (name, getattr(api, name)) for api in self._apis for name in vars(type(api)) if name[0] != "_"
        )
        return {("codedeploy", _camel_case(name)): self._handler(method) for name, method in found}

    def tick(self) -> None:
        """Let every deployment under way go as far as it can. One that raises is over and does not hold up others."""
        problem: Exception | None = None
        for run in list(self._runs.values()):
            try:
                run.step()
            except Exception as error:
                problem = error
            if run.deployment.over:
                self._runs.pop(run.deployment.id, None)
        if problem is not None:
            raise problem

    def close(self) -> None:
        """Nothing to end: deployments live in the tick."""

    @cached_property
    def _ports(self) -> Ports:
        """The other parts, which exist once the world is complete."""
        if self._given_ports is not None:
            return self._given_ports
        world = self._world
        return Ports(
            clock=world.clock,
            ecs=world.ecs,
            elb=world.elb,
            functions=world.functions,
            alarms=world.alarms,
            identity=world.roles,
            revisions=BucketReader(world.client, world.roles),
        )

    def tags(self, region: str) -> dict[str, dict[str, str]]:
        """Return the tags of every application and deployment group of a region, by ARN."""
        return self._store(region).all_tags()

    def _store(self, region: str) -> Store:
        if region not in self._stores:
            self._stores[region] = Store.fresh(region, self._world.clock.now())
        return self._stores[region]

    def _handler(self, operation: _Operation) -> Handler:
        def handle(call: Call) -> Members:
            return operation(self._store(call.region), call.params, self._world.clock.now())

        return handle

    def _start(self, deployment: Deployment, script: Callable[[Run], Script] = deploy) -> None:
        self._runs[deployment.id] = Run(deployment, script, self._ports, self._unverified, self._ended)

    def _step(self, deployment: Deployment) -> None:
        self._runs[deployment.id].step()

    def _ended(self, deployment: Deployment, ended: EndedError) -> None:
        """Start the rollback of a deployment that ended without success, when it asked for one (aws-facts 4.2)."""
        if not rollback.wanted(deployment, ended, self._unverified):
            return
        assert deployment.completed is not None
        store = self._store(deployment.plan.region)
        good = last_good_revision(store, deployment.group_id)
        back = rollback.plan_rollback(deployment, good, self._unverified)
        lag = timedelta(seconds=self._unverified.rollback_info_lag)
        deployment.rollback = Rollback(back.id, deployment.completed + lag)
        store.deployments[back.id] = back
        self._start(back, rollback.roll_back)


def _camel_case(name: str) -> str:
    """Return AWS's name of the operation that a handler is for."""
    return re.sub(r"(?:^|_)(\w)", lambda match: match.group(1).upper(), name)
