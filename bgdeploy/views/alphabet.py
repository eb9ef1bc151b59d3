"""The alphabet of whoever reads: for those who ask for ASCII, bgdeploy's own signs in it. Pure, and cheap to import."""

from __future__ import annotations

from collections.abc import Mapping

_LOCALE = ("LC_ALL", "LC_CTYPE", "LANG")  # the first that is set counts (POSIX, "Environment Variables")
_COERCED = {("LC_CTYPE", "C.UTF-8"), ("LC_CTYPE", "C.utf8"), ("LC_CTYPE", "UTF-8")}
_SIGNS = str.maketrans({"·": "|", "…": "...", "→": "->", "✓": "+", "✗": "x", "●": "*", "━": "="})


def wants_ascii(encoding: str, environ: Mapping[str, str]) -> bool:
    """Tell whether nothing but ASCII is to be printed: the stream can show no more, or the locale is C.

    Python writes UTF-8 there all the same, and puts an LC_CTYPE of its own beside LANG=C (PEP 538). Where no locale
    is set, as in many containers, nothing was asked for.
    """
    said = (environ.get(name) for name in _LOCALE if (name, environ.get(name)) not in _COERCED)
    locale = next(filter(None, said), "")
    return not encoding.lower().replace("-", "").startswith("utf") or locale in {"C", "POSIX"}


def in_ascii(text: str) -> str:
    """Return `text` in ASCII: bgdeploy's own signs as others that mean the same, what has none as `?`."""
    return text.translate(_SIGNS).encode("ascii", "replace").decode("ascii")
