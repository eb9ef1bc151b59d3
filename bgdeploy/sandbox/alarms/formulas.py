"""CloudWatch's metric math, as far as an alarm needs it: what an expression comes to in one period.

Every function here looks at one period at a time, as those do that CloudWatch recommends for alarms. Where two series
meet and one has no value, its value is 0; a division by zero has none (CloudWatch user guide, "metric math").
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_ID = re.compile(r"[a-z][A-Za-z0-9_]*")
_ARITHMETIC: Mapping[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_OVER_SERIES: Mapping[str, Callable[[Sequence[float]], float]] = {"SUM": sum, "MAX": max, "MIN": min}


class Scalar(float):
    """A number that stands in the expression, and so in every period."""


Point = float | None  # of a series: its value in the period, None when it has none
Term = Point | list[Point]


@dataclass(frozen=True)
class Formula:
    """An expression, parsed."""

    tree: ast.expr

    @property
    def ids(self) -> Iterator[str]:
        """Yield the ids of the series that it is made of."""
        called = {id(node.func) for node in ast.walk(self.tree) if isinstance(node, ast.Call)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and id(node) not in called:
                yield node.id

    def at(self, value: Callable[[str], Point]) -> Point:
        """Return what it comes to in a period, None when it has no value there; `value` tells each series'."""
        found = _term(self.tree, value)
        return None if isinstance(found, list) else found


def formula(text: str) -> Formula:
    """Return the expression that `text` writes. Raises ValueError for one that the sandbox cannot evaluate."""
    try:
        parsed = Formula(ast.parse(text.strip(), mode="eval").body)
        wrong = next((name for name in parsed.ids if not _ID.fullmatch(name)), None)
        found = _term(parsed.tree, lambda name: 1.0)
    except SyntaxError:
        raise ValueError(f"the sandbox cannot read the expression {text!r}") from None
    if wrong:
        raise ValueError(
            f"{wrong!r} in the expression {text!r} is no id: those begin with a lower-case letter"
        )
    if isinstance(found, (Scalar, list)):
        raise ValueError(f"the expression {text!r} is no single series: an alarm cannot watch it")
    return parsed


def _term(node: ast.expr, value: Callable[[str], Point]) -> Term:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return Scalar(node.value)
    if isinstance(node, ast.Name):
        return value(node.id)
    if isinstance(node, ast.List):
        return [_point(each, value) for each in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _both(operator.mul, Scalar(-1), _term(node.operand, value))
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return _both(_ARITHMETIC[type(node.op)], _term(node.left, value), _term(node.right, value))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _ARITHMETIC:
        compare = _ARITHMETIC[type(node.ops[0])]
        return _both(compare, _term(node.left, value), _term(node.comparators[0], value))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _called(node.func.id, node.args, value)
    raise ValueError(f"the sandbox cannot evaluate {ast.unparse(node)!r} in a metric math expression")


def _both(operation: Callable[[float, float], float], left: Term, right: Term) -> Term:
    if isinstance(left, list):
        return [_pair(operation, each, right) for each in left]
    if isinstance(right, list):
        return [_pair(operation, left, each) for each in right]
    return _pair(operation, left, right)


def _pair(operation: Callable[[float, float], float], left: Term, right: Term) -> Point:
    if isinstance(left, list) or isinstance(right, list):
        raise ValueError(
            "metric math combines a list of series with one series or number, not with another list"
        )
    series = [each for each in (left, right) if not isinstance(each, Scalar)]
    if series and all(each is None for each in series):
        return None
    try:
        found = float(operation(left or 0.0, right or 0.0))
    except ZeroDivisionError:
        return None
    return found if series else Scalar(found)


def _called(name: str, arguments: Sequence[ast.expr], value: Callable[[str], Point]) -> Term:
    if name in _OVER_SERIES and len(arguments) == 1:
        return _over_series(_OVER_SERIES[name], _term(arguments[0], value), name)
    if name == "FILL" and len(arguments) == 2:
        filled, filler = _term(arguments[0], value), _point(arguments[1], value)
        return [_or(each, filler) for each in filled] if isinstance(filled, list) else _or(filled, filler)
    if name == "IF" and len(arguments) in (2, 3):
        condition = _point(arguments[0], value)
        if condition is None:
            return None
        if condition:
            return _or(_point(arguments[1], value), 0.0)
        return _or(_point(arguments[2], value), None) if len(arguments) == 3 else None
    raise ValueError(f"the sandbox does not evaluate {name} of {len(arguments)} in a metric math expression")


def _over_series(function: Callable[[Sequence[float]], float], series: Term, name: str) -> Point:
    if not isinstance(series, list):
        raise ValueError(
            f"{name} of a single series depends on how many points are read: no alarm for the sandbox"
        )
    known = [each for each in series if each is not None]
    return float(function(known)) if known else None


def _point(node: ast.expr, value: Callable[[str], Point]) -> Point:
    found = _term(node, value)
    if isinstance(found, list):
        raise ValueError("metric math knows no lists of lists")
    return found


def _or(point: Point, filler: Point) -> Point:
    """Return a series' value, the filler's where it has none; a number is one in every period from here on."""
    found = filler if point is None else point
    return None if found is None else float(found)
