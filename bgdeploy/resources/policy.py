"""IAM policy documents: as they are sent, and as they are compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bgdeploy.aws import Attrs
from bgdeploy.provision.diff import Whole


def document(statements: Sequence[Attrs]) -> Whole:
    """Return a policy document, in the form in which `canonical` returns what AWS has.

    It is declared to its last key: a principal that somebody added is as much drift as one that is missing.
    """
    return canonical({"Version": "2012-10-17", "Statement": list(statements)})


def canonical(found: Attrs) -> Whole:
    """Return a document in one form of the many that say the same: AWS folds lists of one, and orders as it likes."""
    return Whole(_folded(found))


def _folded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _folded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        folded = sorted((_folded(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
        return folded[0] if len(folded) == 1 else folded
    return value
