"""HTML and SVG that cannot be broken into: every text and attribute is escaped, unless this file made it. Pure."""

from __future__ import annotations

from html import escape

# They have no end tag.
_VOID = {"meta", "br", "col"}


class Html(str):
    """Markup: what `tag` and `joined` return, and what they take as it is."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: str | float | bool | None) -> Html:
    """Return an element. `class_` is written class, `aria_label` aria-label; None and False are left out."""
    opening = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{opening}>")
    return Html(f"<{name}{opening}>{joined(*children)}</{name}>")


def joined(*children: str | None) -> Html:
    """Return texts and elements one after the other; None stands for nothing."""
    return Html("".join(_text(child) for child in children if child is not None))


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    return f' {name}="{_text(f"{value:.6g}" if isinstance(value, float) else str(value))}"'


def _text(text: str) -> str:
    if isinstance(text, Html):
        return str(text)
    # Control characters have no place in HTML, and those that turn the direction of writing could lie.
    return escape("".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text))
