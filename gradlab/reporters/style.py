"""What a stream can show: its width, colour, and characters beyond ASCII."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from dataclasses import dataclass
from typing import TextIO

WIDTH = 100  # of what is written to files, pipes and exception messages
NARROWEST, WIDEST = 40, 120  # lines that are much longer than this are hard to read
SAMPLE = "±×−½∘Σθδᵀ²…"
COLOURS = {"red": 31, "green": 32, "yellow": 33}

# What the signs of formulas and messages are called in ASCII; Greek letters are spelled out.
ASCII = {
    "±": "+/-",
    "×": "x",
    "·": "*",
    "∘": "*",
    "−": "-",
    "–": "-",
    "½": "1/2",
    "²": "^2",
    "³": "^3",
    "ᵀ": "^T",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "∂": "d",
    "∞": "inf",
    "Σ": "sum",
    "→": "->",
    "←": "<-",
    "…": "...",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "\N{NO-BREAK SPACE}": " ",
}


@dataclass(frozen=True)
class Style:
    """How a text is laid out.

    Attributes
    ----------
    width : int
        Columns of a line.
    color : bool
        Whether verdicts are coloured, by ANSI escape sequences.
    unicode : bool
        Whether characters beyond ASCII may be used.
    terminal : bool
        Whether the text is looked at line by line on a screen. Elsewhere the first line of a report is
        never wrapped: test runners and ``grep`` show it alone.
    """

    width: int = WIDTH
    color: bool = False
    unicode: bool = True
    terminal: bool = False

    def paint(self, text: str, colour: str) -> str:
        """Return a text in bold and in a colour, where there is colour."""
        return f"\033[1;{COLOURS[colour]}m{text}\033[0m" if self.color else text

    def encode(self, text: str) -> str:
        """Return a text in the characters that may be used."""
        return text if self.unicode else to_ascii(text)


PLAIN = Style()


def style_of(stream: TextIO, *, color: str = "auto") -> Style:
    """Return the style that fits a stream.

    Parameters
    ----------
    stream : text stream
        Such as ``sys.stdout``. On a terminal its width counts, or ``COLUMNS``. Whether characters beyond
        ASCII may be used is seen from its encoding.
    color : {"auto", "always", "never"}, optional
        Whether there is colour. By default ``NO_COLOR`` forbids it, else ``FORCE_COLOR`` asks for it, else
        a terminal has it, unless ``TERM`` is ``dumb``.

    Returns
    -------
    Style

    Examples
    --------
    >>> import io
    >>> style_of(io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    Style(width=100, color=False, unicode=False, terminal=False)
    """
    terminal = stream.isatty()
    width = shutil.get_terminal_size((WIDTH, 24)).columns if terminal else WIDTH
    return Style(
        width=min(max(width, NARROWEST), WIDEST),
        color=_colored(terminal) if color == "auto" else color == "always",
        unicode=_shows(SAMPLE, getattr(stream, "encoding", None)),
        terminal=terminal,
    )


def to_ascii(text: str) -> str:
    r"""Transliterate a text: signs by their ASCII forms, Greek letters by their names, the rest escaped.

    Escapes are those of Python, so that a string in a snippet keeps its value.

    >>> to_ascii("½ θ² ± 2 × 10⁻³")
    '1/2 theta^2 +/- 2 x 10\\u207b^3'
    """
    return re.sub(r"[^\x00-\x7f]", lambda found: _ascii(found[0]), text)


def _ascii(character: str) -> str:
    if character in ASCII:
        return ASCII[character]
    greek = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", unicodedata.name(character, ""))
    if greek is not None:
        return greek[2].lower() if greek[1] == "SMALL" else greek[2].capitalize()
    return character.encode("ascii", "backslashreplace").decode()


def _colored(terminal: bool) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (terminal and os.environ.get("TERM") != "dumb")


def _shows(sample: str, encoding: str | None) -> bool:
    try:
        sample.encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
