"""Pictures as SVG, written from their data: no script, no font, nothing loaded; colours come from CSS."""

from __future__ import annotations

from gradlab.reporters.drawings.figures import Figure, figures_of
from gradlab.reporters.drawings.palette import STYLE, THEMES

__all__ = ["STYLE", "THEMES", "Figure", "figures_of"]
