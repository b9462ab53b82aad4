"""Putting matplotlib's SVG into the page: valid HTML, unique ids, colours and font of the page."""

from __future__ import annotations

import re

from report.theme import PAGE_COLOURS, SPARE, STAGES, STRATEGIES

_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_ID = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'(xlink:href="#|href="#|url\(#)([^")]+)')
_FONT = re.compile(r"(font(?:-family)?:[^;\"]*?)'DejaVu Sans'[^;\"]*")

_WHITE = re.compile(r"#ffffff\b", re.IGNORECASE)


def inline(svg: str, name: str, label: str) -> str:
    """Return the ``<svg>`` element for the page, named for screen readers by `label`.

    Args:
        svg: what matplotlib wrote, XML prolog and all.
        name: unique within the page; ids are prefixed with it.
        label: the figure's finding, HTML-escaped.
    """
    body = _METADATA.sub("", svg[svg.index("<svg") :])
    opening, rest = body[: body.index(">") + 1], body[body.index(">") + 1 :]
    opening = re.sub(r'\s(?:width|height|version|xmlns(?::xlink)?)="[^"]*"', "", opening)
    opening = opening.replace("<svg", f'<svg id="{name}" role="img" aria-label="{label}"', 1)
    rest = _ID.sub(rf'id="{name}-\1"', rest)
    rest = _REFERENCE.sub(rf"\1{name}-\2", rest)
    rest = rest.replace("*{", f"#{name} *{{").replace(' type="text/css"', "")
    rest = _FONT.sub(r"\1var(--sans)", rest)
    for colour, variable in _page_colours().items():
        rest = rest.replace(colour, variable)
    return opening + _WHITE.sub("var(--page)", rest)


def width_of(svg: str) -> float:
    """Return the width that the figure was drawn for (points)."""
    found = re.search(r'viewBox="0 0 ([0-9.]+)', svg)
    return float(found.group(1)) if found else 0.0


def _page_colours() -> dict[str, str]:
    strategies = {style.light: f"var(--{name})" for name, style in STRATEGIES.items()}
    spare = {light: f"var(--spare-{number})" for number, (light, _, _) in enumerate(SPARE)}
    stages = {style.light: f"var(--stage-{name})" for name, style in STAGES.items()}
    return PAGE_COLOURS | strategies | spare | stages
