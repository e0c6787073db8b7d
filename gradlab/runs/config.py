"""What a user can set for ``gradlab verify``: in ``[tool.gradlab]`` of ``pyproject.toml``, or as options."""

from __future__ import annotations

import difflib
import os
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gradlab._options import FRACTION, SECONDS, Kind, whole_number
from gradlab.errors import UsageError

FORMATS = ("text", "json", "github")
AUTO = "auto"
COLORS = (AUTO, "always", "never")


@dataclass(frozen=True)
class Settings:
    """All settings with their defaults; in ``[tool.gradlab]`` they are written with hyphens.

    >>> Settings(jobs=2).as_written()["max-examples"]
    100
    """

    targets: tuple[str, ...] = ()
    max_examples: int = 100
    seed: int = 0
    rtol: float | None = None
    max_seconds: float | None = None
    timeout: float | None = None
    jobs: int | str = 1
    expect_rules: int | None = None
    durations: int | None = None
    format: str = "text"
    color: str = "auto"

    def as_written(self) -> dict[str, Any]:
        """Return the settings under the names that a user writes."""
        return {name.replace("_", "-"): value for name, value in asdict(self).items()}


KINDS = {
    "targets": Kind(
        "a list of at least one string",
        lambda value: isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value),
    ),
    "max-examples": whole_number(1),
    "seed": whole_number(0),
    "rtol": FRACTION,
    "max-seconds": SECONDS,
    "timeout": SECONDS,
    "jobs": Kind(
        "a whole number, at least 1, or auto",
        lambda value: value == AUTO or whole_number(1).accepts(value),
        read=lambda text: text if text == AUTO else int(text),
    ),
    "expect-rules": whole_number(1),
    "durations": whole_number(0),
    "format": Kind(f"one of {', '.join(FORMATS)}", lambda value: value in FORMATS),
    "color": Kind(f"one of {', '.join(COLORS)}", lambda value: value in COLORS),
}


def processes(jobs: int | str) -> int:
    """Return how many processes ``jobs`` means; ``auto`` is one for each processor that may be used.

    >>> processes(3), processes("auto") >= 1
    (3, True)
    """
    if isinstance(jobs, int):
        return jobs
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Configuration:
    """What ``[tool.gradlab]`` says, by the names of the fields of `Settings`, and in which folder."""

    values: dict[str, Any]
    folder: Path | None


def read_configuration(start: Path) -> Configuration:
    """Read the nearest ``pyproject.toml`` with a table ``[tool.gradlab]``, from ``start`` upwards.

    Paths among its targets are relative to its folder; what is returned is relative to ``start``.

    Raises
    ------
    UsageError
        When the file is no TOML, a key is unknown, or a value is of the wrong type.
    """
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            table = _table(path)
            if table is not None:
                values = {key.replace("-", "_"): _checked(path, key, table[key]) for key in table}
                if "targets" in values:
                    values["targets"] = tuple(_from(start, folder, target) for target in values["targets"])
                return Configuration(values, folder)
    return Configuration({}, None)


def _table(path: Path) -> dict[str, Any] | None:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    tool = document.get("tool", {})
    table = tool.get("gradlab") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{path}: tool.gradlab is {table!r}; expected a table [tool.gradlab]")
    return table


def _checked(path: Path, key: str, value: Any) -> Any:
    known = f"The known keys are {', '.join(KINDS)}"
    if key not in KINDS:
        close = difflib.get_close_matches(key.replace("_", "-"), KINDS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise UsageError(f"{path}: [tool.gradlab] has the unknown key {key!r}{hint} {known}")
    if not KINDS[key].accepts(value):
        raise UsageError(
            f"{path}: [tool.gradlab] {key} is {value!r}; expected {KINDS[key].expected}. {known}"
        )
    return value


def _from(start: Path, folder: Path, target: str) -> str:
    """Return a target of the file in ``folder`` as it reads from ``start``; a module's name stays."""
    is_path = target.endswith(".py") or ".py:" in target
    return os.path.relpath(folder / target, start) if is_path and folder != start else target
