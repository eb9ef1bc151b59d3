"""Numbers of things: one of them is no plural."""

from __future__ import annotations

from bgdeploy.counting import listed


def test_what_there_is_is_listed_with_the_right_plural_and_what_is_not_there_left_out() -> None:
    holds = {"VPCs": 1, "target groups": 2, "repositories": 1, "buckets": 0, "CodeDeploy applications": 1}
    assert listed(holds) == "1 VPC, 2 target groups, 1 repository, 1 CodeDeploy application"


def test_none_of_all_is_nothing() -> None:
    assert listed({"VPCs": 0}) == "nothing"
