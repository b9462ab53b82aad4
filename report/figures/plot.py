"""What a figure is: its name, what it finds, and its drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from report.figures import canvas

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Plot:
    """A figure: file name without ending, heading, finding in one or two sentences, and its drawing.

    `empty` says why there is nothing to see; the drawing then shows that sentence. `of_cuts`: it is about where to
    cut, not about moving the cut.
    """

    name: str
    title: str
    finding: str
    draw: Callable[[], Figure]
    empty: str | None = None
    of_cuts: bool = False

    def render(self) -> dict[str, bytes]:
        """Return the figure as ``svg`` and as ``pdf``."""
        with canvas.look():
            figure = canvas.nothing(self.empty) if self.empty else self.draw()
        svg = canvas.save(figure, "svg")
        figure.set_layout_engine("none")  # laid out once: that takes as long as drawing
        return {"svg": svg, "pdf": canvas.save(figure, "pdf")}
