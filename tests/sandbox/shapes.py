"""Values that a service's model allows, made by hypothesis from the model itself."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from hypothesis import strategies as st

_TEXT = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co"))
_DEEPEST = 5


def values(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Return a strategy for values of `shape`; what is optional and deep down is left out."""
    if isinstance(shape, StructureShape):
        return _structures(shape, depth)
    if isinstance(shape, ListShape):
        least = max(1, shape.metadata.get("min", 1))
        return st.lists(values(shape.member, depth + 1), min_size=least, max_size=max(2, least))
    if isinstance(shape, MapShape):
        keys, items = values(shape.key, depth + 1), values(shape.value, depth + 1)
        return st.dictionaries(keys, items, min_size=1, max_size=2)
    return _scalars(shape)


def _structures(shape: StructureShape, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    required = {name: values(shape.members[name], depth + 1) for name in shape.required_members}
    shallow = {
        name: values(member, depth + 1)
        for name, member in shape.members.items()
        if name not in required and depth < _DEEPEST and not (_empty(member))
    }
    # A structure of nothing cannot be told from no structure in a form.
    return st.fixed_dictionaries(required, optional=shallow).filter(bool)


def _empty(shape: Shape) -> bool:
    return isinstance(shape, StructureShape) and not shape.members


def _scalars(shape: Shape) -> st.SearchStrategy[Any]:
    if shape.metadata.get("enum"):
        return st.sampled_from(shape.metadata["enum"])
    least = shape.metadata.get("min", 0)
    match shape.type_name:
        case "string":
            return st.text(_TEXT, min_size=max(1, least), max_size=max(least, 12))
        case "integer" | "long":
            return st.integers(max(least, -(2**31)), 2**31 - 1)
        case "float" | "double":
            return st.floats(max(least, -1e9), 1e9, allow_nan=False)
        case "boolean":
            return st.booleans()
        case "timestamp":
            return st.integers(0, 4_000_000_000).map(lambda at: datetime.fromtimestamp(at, timezone.utc))
        case "blob":
            return st.binary(max_size=12)
    raise AssertionError(f"no strategy for a {shape.type_name}")
