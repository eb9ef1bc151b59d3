"""Plans and their progress, for people: what differs is seen, columns stand in line, nothing is cut that is needed."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from bgdeploy.provision.diff import Difference, Whole
from bgdeploy.provision.plan import Action, Change, Outcome, Plan, Progress, State
from bgdeploy.provision.values import Unmade
from bgdeploy.views.plan import lines
from bgdeploy.views.progress import line, showing, summary
from bgdeploy.views.theme import THEME, UNICODE

STACK = "shop-dev"


def told(*changes: Change) -> list[str]:
    return list(lines(Plan(STACK, changes)))


def test_of_two_long_policies_only_what_differs_is_shown() -> None:
    common = [{"Action": f"service{number}:Describe", "Resource": "*"} for number in range(9)]
    wanted = Whole(Statement=[*common, {"Action": "s3:Get", "Resource": "bucket"}])
    actual = Whole(Statement=[*common, {"Action": "s3:Get", "Resource": "*"}])
    change = Change("role/hook", "x", Action.UPDATE, (Difference(("Policy",), wanted, actual),))
    assert told(change)[1] == '    Policy.Statement[9].Resource: "*" -> "bucket"'


def test_a_short_value_is_shown_whole() -> None:
    change = Change("role/task", "x", Action.UPDATE, (Difference(("Policies",), {"a", "b"}, {"c"}),))
    assert told(change)[1] == '    Policies: ["c"] -> ["a", "b"]'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (None, "(none)"),
        ("(none)", '"(none)"'),
        ("14", '"14"'),
        (14, "14"),
        (3.0, "3"),
        (0.5, "0.5"),
        ({"ports": frozenset({80}), "on": [False, None]}, '{"ports": [80], "on": [false, null]}'),
        ("Grüße\n", '"Grüße\\n"'),
        (Unmade("(the Arn of role/hook, once it is made)"), "(the Arn of role/hook, once it is made)"),
    ],
)
def test_values_are_written_as_in_json_and_what_is_not_there_in_words(value: object, text: str) -> None:
    change = Change("thing", "x", Action.UPDATE, (Difference(("Field",), value, 0),))
    assert told(change)[1] == f"    Field: 0 -> {text}"


def test_one_is_no_plural() -> None:
    kept = Change("vpc", STACK, Action.NOOP)
    assert told(kept) == ["shop-dev: 1 resource is as it should be; nothing to do"]
    assert summary(Outcome((Progress(kept, State.DONE),)), STACK) == (
        "shop-dev: nothing to change, 1 resource is as it should be"
    )


def test_names_stand_below_each_other_and_what_is_blocked_takes_one_line() -> None:
    assert told(
        Change("vpc", STACK, Action.REFUSED, reason="AWS cannot change that in place"),
        Change("subnet/0", f"{STACK}-0", Action.BLOCKED, reason="needs vpc"),
    ) == [
        "! vpc       shop-dev",
        "    AWS cannot change that in place",
        "! subnet/0  shop-dev-0  needs vpc",
        "shop-dev: 1 refused, 1 blocked",
    ]


def test_what_is_done_and_what_begins_stand_in_the_same_columns() -> None:
    change = Change("load-balancer", STACK, Action.CREATE)
    begun, done = (line(Progress(change, state, 0.04), UNICODE) for state in (State.STARTED, State.DONE))
    assert str(begun) == "  · creating          load-balancer  shop-dev"
    assert str(done) == "  ✓ created    0.0 s  load-balancer  shop-dev"


def test_a_terminal_shows_what_is_done_on_one_line_and_an_error_to_its_end() -> None:
    paper = StringIO()
    console = Console(file=paper, width=60, theme=THEME, force_terminal=True, color_system=None)
    change = Change("security-group/load-balancer", f"{STACK}-load-balancer", Action.CREATE)
    error = "AWS says that there are too many security groups in this account"
    with showing(console, lambda: 0.0, UNICODE, live=True) as tell:
        tell(Progress(change, State.DONE, 2.1))
        tell(Progress(change, State.FAILED, error=error))
    assert "  ✓ created    2.1 s  security-group/load-balancer  shop-de…" in paper.getvalue()
    assert error in paper.getvalue()


def test_a_teardown_that_goes_on_does_not_call_what_is_gone_unchanged() -> None:
    outcome = Outcome(
        (
            Progress(Change("vpc", STACK, Action.DELETE), State.DONE),
            Progress(Change("service", STACK, Action.NOOP), State.DONE),
        )
    )
    assert summary(outcome, STACK, removal=True) == "shop-dev: 1 removed"
