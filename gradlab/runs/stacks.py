"""Where a process was: stacks as lines of a traceback, also of one that crashed or hung.

What `faulthandler` writes when a process ends looks like ::

    Fatal Python error: Segmentation fault

    Current thread 0x00007f3a (most recent call first):
      File "shop.py", line 3 in forward
      File ".../gradlab/point/functions.py", line 399 in call_forward
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gradlab._modules import FOLDER

UNDER_TEST = (FOLDER / "rules", FOLDER / "networks")
MACHINERY = re.compile(r"[/\\](hypothesis|multiprocessing|importlib)[/\\]|^<frozen ")
DUMPED = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)$')
MOST = 12  # frames that are shown


class Frame(NamedTuple):
    """One call."""

    file: str
    line: int
    name: str


def users(frames: Sequence[Frame]) -> list[Frame]:
    """Return the calls below gradlab's own, which are those of the rule; there may be none.

    >>> mine = Frame("shop.py", 3, "forward")
    >>> ours = Frame(str(FOLDER / "point" / "functions.py"), 399, "call_forward")
    >>> users([ours, mine, mine]) == [mine, mine]
    True
    """
    last = max((k for k, frame in enumerate(frames) if _is_own(frame.file)), default=-1)
    return [frame for frame in frames[last + 1 :] if not MACHINERY.search(frame.file)]


def written(frames: Sequence[Frame]) -> str:
    """Return calls as Python writes them, most recent last; of very many, the last ones."""
    lines = ["..."] if len(frames) > MOST else []
    for frame in frames[-MOST:]:
        lines.append(f'File "{frame.file}", line {frame.line}, in {frame.name}')
        source = linecache.getline(frame.file, frame.line).strip()
        lines += [f"  {source}"] if source else []
    return "\n".join(lines)


def dumped(text: str) -> str:
    r"""Return the rule's calls from what `faulthandler` wrote: of the thread that ran; all where it has none.

    >>> dumped('Current thread 0x1 (most recent call first):\n  File "shop.py", line 3 in forward\n')
    'File "shop.py", line 3, in forward'
    """
    blocks = [block.splitlines() for block in re.split(r"\n(?=Current thread|Thread)", f"\n{text}")]
    current = next((block for block in blocks if block and block[0].startswith("Current thread")), [])
    found = [DUMPED.match(line) for line in current]
    frames = [Frame(one["file"], int(one["line"]), one["name"]) for one in found if one is not None]
    return written(users(frames[::-1]) or frames[::-1])


def _is_own(file: str) -> bool:
    path = Path(file)
    return path.is_relative_to(FOLDER) and not any(path.is_relative_to(folder) for folder in UNDER_TEST)
