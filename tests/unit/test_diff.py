"""Differences: none where things agree, each one real, and none left when what they name is set right."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.provision.diff import Difference, Whole, differences, narrowed

_plain = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(-2, 2), st.sampled_from(["", "a", "b", "1"])
)
_keys = st.sampled_from(["Name", "Port", "Tags", "Rules"])


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(_keys, inner, max_size=3),
        st.dictionaries(_keys, inner, max_size=3).map(Whole),
        st.sets(st.sampled_from(["sg-1", "sg-2", "sg-3"])),
    )


_values = st.recursive(_plain, _nested, max_leaves=8)
_things = st.dictionaries(_keys, _values, max_size=4)
_ABSENT = object()


def _at(thing: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        thing = thing.get(step, _ABSENT) if isinstance(thing, dict) else thing[step]
    return None if thing is _ABSENT else thing


@given(_things)
def test_what_is_as_it_should_be_differs_in_nothing(thing: dict[str, Any]) -> None:
    assert differences(thing, thing) == []


@given(_things, _things)
def test_every_reported_difference_is_real(desired: dict[str, Any], actual: dict[str, Any]) -> None:
    for difference in differences(desired, actual):
        wanted, found = _at(desired, difference.path), _at(actual, difference.path)
        assert (difference.wanted, difference.actual) == (wanted, found)
        assert wanted != found or type(wanted) is not type(found), difference


@given(_things, _things)
def test_setting_the_named_fields_right_leaves_no_difference(
    desired: dict[str, Any], actual: dict[str, Any]
) -> None:
    named = {difference.field: desired[difference.field] for difference in differences(desired, actual)}
    assert differences(desired, {**actual, **named}) == []


@given(_things, _things)
def test_what_is_ignored_is_never_reported(desired: dict[str, Any], actual: dict[str, Any]) -> None:
    reported = differences(desired, actual, {"Port", "Rules"})
    assert not {"Port", "Rules"} & {difference.field for difference in reported}


def test_what_only_the_actual_thing_has_is_not_judged() -> None:
    assert differences({"Health": {"Path": "/"}}, {"Health": {"Path": "/", "Port": "80"}, "Arn": "a"}) == []


def test_a_mapping_declared_to_its_last_key_differs_by_one_more() -> None:
    desired = {"Principal": Whole(Service="ecs-tasks.amazonaws.com")}
    found = differences(desired, {"Principal": {"Service": "ecs-tasks.amazonaws.com", "AWS": "*"}})
    assert [each.where for each in found] == ["Principal"]


@pytest.mark.parametrize(
    ("wanted", "actual", "where"),
    [
        (
            {"Groups": [{"Name": "blue"}, {"Name": "green"}]},
            {"Groups": [{"Name": "blue"}, {}]},
            "Groups[1].Name",
        ),
        ({"Zones": {"a", "b"}}, {"Zones": ["b", "a"]}, None),
        ({"Zones": {"a", "b"}}, {"Zones": ["b"]}, "Zones"),
        ({"Zones": {"a"}}, {}, "Zones"),
        ({"Rules": [1, 2]}, {"Rules": [1]}, "Rules"),
        ({"Enabled": True}, {"Enabled": 1}, "Enabled"),
        ({"Count": 1}, {"Count": True}, "Count"),
        ({"Threshold": 1.0}, {"Threshold": 1}, None),
        ({"Policy": None}, {}, None),
        ({"Policy": {}}, {"Policy": None}, "Policy"),
    ],
)
def test_a_difference_says_where_it_is(
    wanted: dict[str, Any], actual: dict[str, Any], where: str | None
) -> None:
    assert [each.where for each in differences(wanted, actual)] == ([where] if where else [])


# Within long values


@given(_values, _values)
def test_what_differs_is_narrowed_to_parts_that_differ(wanted: Any, actual: Any) -> None:
    for difference in differences({"Field": wanted}, {"Field": actual}):
        parts = list(narrowed(difference))
        assert parts
        assert all(part.path[: len(difference.path)] == difference.path for part in parts)


def test_of_a_policy_the_statement_that_differs_is_told() -> None:
    read = {"Effect": "Allow", "Action": ["s3:Get", "s3:List"], "Resource": "a"}
    wanted, actual = [read, {"Action": "logs:Put"}], [{**read, "Resource": "*"}, {"Action": "logs:Put"}]
    assert list(narrowed(Difference(("Policy",), Whole(Statement=wanted), Whole(Statement=actual)))) == [
        Difference(("Policy", "Statement", 0, "Resource"), "a", "*")
    ]


def test_members_come_and_go_where_one_stands_without_a_list_too() -> None:
    wanted, actual = Whole(Statement=["a", "b"]), Whole(Statement="c")
    assert list(narrowed(Difference(("Policy",), wanted, actual))) == [
        Difference(("Policy", "Statement", 0), None, "c"),
        Difference(("Policy", "Statement", 0), "a", None),
        Difference(("Policy", "Statement", 1), "b", None),
    ]
