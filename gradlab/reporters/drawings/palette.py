"""The colours of pictures: classes in SVG, variables in CSS, so that one picture serves light and dark.

The blue is what forward shows, the red what is claimed and differs. No meaning is in a colour alone: wrong
cells have a cross, claims a dash. Text has a contrast of at least 4.5 on its background, lines 3.
"""

from __future__ import annotations

# Of a page: by the theme that the reader has chosen.
THEMES = {
    "light": {
        "ink": "#1c2128",
        "muted": "#57606a",
        "line": "#d0d7de",
        "paper": "#ffffff",
        "panel": "#f6f8fa",
        "forward": "#0b5cad",
        "claim": "#c1272d",
        "right": "#1a7f37",
        "unsure": "#8a6100",
        "cell-0": "#e3ecf4",
        "cell-1": "#cfdeeb",
        "cell-2": "#b4cbe0",
        "cell-3": "#fbd3cb",
        "cell-4": "#f5a89b",
        "cell-5": "#e66f63",
        "cell-6": "#c1272d",
        "on-cell": "#1c2128",
        "on-cell-6": "#ffffff",
        "negative": "#b35806",
        "positive": "#2166ac",
    },
    "dark": {
        "ink": "#e6edf3",
        "muted": "#9aa4ae",
        "line": "#3d444d",
        "paper": "#0d1117",
        "panel": "#161b22",
        "forward": "#6cb6ff",
        "claim": "#ff7b72",
        "right": "#57ab5a",
        "unsure": "#d9a72a",
        "cell-0": "#1b2733",
        "cell-1": "#233547",
        "cell-2": "#2d475f",
        "cell-3": "#4d2a2a",
        "cell-4": "#7a322f",
        "cell-5": "#b0423c",
        "cell-6": "#ff7b72",
        "on-cell": "#e6edf3",
        "on-cell-6": "#0d1117",
        "negative": "#f0994b",
        "positive": "#6cb6ff",
    },
}
CELLS = 7  # levels of a heat map: three of agreement, four of disagreement

# Of the pictures, wherever they stand. Inside a notebook, whose theme is not known, the text takes the colour
# of the text around it and the rest is between light and dark.
STYLE = """\
.gl-svg{max-width:100%;height:auto;color:var(--ink,currentColor);font:11px system-ui,sans-serif}
.gl-svg text{fill:currentColor}.gl-svg .mono{font-family:ui-monospace,monospace}
.gl-svg .muted{fill:var(--muted,currentColor)}.gl-svg .end{text-anchor:end}.gl-svg .mid{text-anchor:middle}
.gl-svg .grid{stroke:var(--line,#8885);fill:none}.gl-svg .axis{stroke:var(--muted,currentColor);fill:none}
.gl-svg .fwd{stroke:var(--forward,#3b8ad8);fill:none}.gl-svg .fwd-dot{fill:var(--forward,#3b8ad8)}
.gl-svg .clm{stroke:var(--claim,#e0524d);fill:none;stroke-dasharray:6 3}
.gl-svg .clm-dot{fill:var(--claim,#e0524d)}.gl-svg .cross{stroke:var(--claim,#e0524d);fill:none}
.gl-svg .ext{stroke:var(--right,#2f9e57);fill:none}.gl-svg .ext-dot{fill:var(--right,#2f9e57)}
.gl-svg .band{fill:var(--forward,#3b8ad8);opacity:.15}.gl-svg .dot{stroke-dasharray:1 3}
.gl-svg .t-fwd{fill:var(--forward,#3b8ad8)}.gl-svg .t-clm{fill:var(--claim,#e0524d)}
.gl-svg .t-ext{fill:var(--right,#2f9e57)}
.gl-svg .c0{fill:var(--cell-0,#5b8db833)}.gl-svg .c1{fill:var(--cell-1,#5b8db855)}
.gl-svg .c2{fill:var(--cell-2,#5b8db888)}.gl-svg .c3{fill:var(--cell-3,#e0524d44)}
.gl-svg .c4{fill:var(--cell-4,#e0524d77)}.gl-svg .c5{fill:var(--cell-5,#e0524daa)}
.gl-svg .c6{fill:var(--cell-6,#e0524d)}.gl-svg .cx{fill:none;stroke:var(--line,#8888)}
.gl-svg .on{fill:var(--on-cell,currentColor)}.gl-svg .on6{fill:var(--on-cell-6,#fff)}
.gl-svg .mark{stroke:var(--on-cell,currentColor);fill:none}
.gl-svg .mark6{stroke:var(--on-cell-6,#fff);fill:none}
.gl-svg .neg{fill:var(--negative,#d9822b)}.gl-svg .pos{fill:var(--positive,#3b8ad8)}
.gl-svg .edge{stroke:var(--muted,currentColor);fill:none}.gl-svg .node{fill:var(--panel,#8882)}
.gl-svg .clm-solid{stroke:var(--claim,#e0524d);fill:none}
.gl-svg .hot{stroke:var(--claim,#e0524d);fill:none}
"""


def variables(theme: str) -> str:
    """Return the colours of a theme as CSS declarations.

    >>> variables("dark")[:24]
    '--ink:#e6edf3;--muted:#9'
    """
    return ";".join(f"--{name}:{colour}" for name, colour in THEMES[theme].items())
