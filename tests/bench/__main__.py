"""`make bench`: measures everything, or what is named, and exits 1 when something is over its limit."""

from __future__ import annotations

import sys
from importlib import import_module

from tests.bench.table import Figure, render

MEASURED = ("commands", "growing", "loading", "provisioning", "releasing", "watching")


def main(wanted: list[str]) -> int:
    """Measure, print the table, and return the exit status."""
    found: list[Figure] = []
    for name in wanted or MEASURED:
        found += import_module(f"tests.bench.{name}").figures()
    print(render(found))
    return 0 if all(figure.good for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
