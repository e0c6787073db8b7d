"""A report as data that JSON has, and a whole run as one JSON document."""

from __future__ import annotations

import json
import math
import platform
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from gradlab._modules import DECISIVE
from gradlab.report import Report
from gradlab.runs import Outcome, Run

# Of a report, and of the document; a key that is removed or changes its meaning makes it 2.
REPORT_VERSION, SCHEMA_VERSION = 1, 1


def render(run: Run) -> str:
    """Return the run as a JSON document, in ASCII and ending with a newline.

    Each report is its `Report.to_dict`, and under ``gate`` what the run knows of it: ``target``, ``status``,
    ``known_failure``, ``file`` and ``line`` of the backward function. Unless the run was cut short,
    ``selected`` is the number of ``reports`` and ``errors`` together. `schema` describes the whole.

    >>> json.loads(render(Run((), ("there is no file a.py",), {"seed": 0}, 0.0, 0)))["exit_code"]
    2
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "environment": environment(*DECISIVE),
        "seed": run.settings["seed"],
        "settings": dict(run.settings),
        "selected": run.selected,
        "reports": [
            {**plain(outcome.report), "raised": outcome.raised, "gate": _gate(outcome)}
            for outcome in run.outcomes
            if outcome.report is not None
        ],
        "errors": [_error(outcome) for outcome in run.outcomes if outcome.report is None],
        "counts": {str(status).replace(" ", "_"): count for status, count in run.counts.items()},
        "problems": list(run.problems),
        "notes": list(run.notes),
        "seconds": run.seconds,
        "exit_code": run.exit_code,
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def schema() -> dict[str, Any]:
    """Return the JSON schema of what `render` writes; that of a report is its ``$defs/report``.

    >>> schema()["$defs"]["verdict"]
    {'enum': ['pass', 'fail', 'inconclusive']}
    """
    text = Path(__file__).with_name("run.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def plain(report: Report) -> dict[str, Any]:
    """Return a report as plain data: what `Report.to_dict` says."""
    data: dict[str, Any] = _plain(asdict(replace(report, origin=None)))
    del data["origin"]
    for result, given in zip(report.inputs, data["inputs"], strict=True):
        if result.worst is not None:
            given["worst"]["error"] = _plain(result.worst.error)
    return {"schema_version": REPORT_VERSION, "environment": environment("numpy"), **data}


def _plain(value: Any) -> Any:
    """Return data in the types that JSON has."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool | int):
        return value
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def environment(*packages: str) -> dict[str, str]:
    """Return the versions on which a report depends, with those of some packages."""
    from gradlab import __version__

    return {
        "gradlab": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: metadata.version(name) for name in packages},
    }


def _gate(outcome: Outcome) -> dict[str, Any]:
    known = outcome.rule.known_failure
    return {
        "status": str(outcome.status).replace(" ", "_"),
        "target": str(outcome.rule.target),
        "known_failure": None if known is None else {"kind": known[0], "reason": known[1]},
        "file": outcome.rule.file,
        "line": outcome.rule.line,
    }


def _error(outcome: Outcome) -> dict[str, Any]:
    error = outcome.error
    assert error is not None
    return {"name": outcome.rule.name, **_plain(asdict(error)), "gate": _gate(outcome)}
