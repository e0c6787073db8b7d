"""A whole run as one JSON document."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from typing import Any

from gradlab.run import Outcome, Run

SCHEMA_VERSION = 1  # of the document; a key that is removed or changes its meaning makes it 2
PACKAGES = ("numpy", "scipy", "hypothesis")  # on which numbers and points depend


def render(run: Run) -> str:
    """Return the run as a JSON document, in ASCII and ending with a newline.

    The keys are ``schema_version``, ``environment``, ``seed``, ``settings``, ``reports``, ``counts``,
    ``problems``, ``seconds`` and ``exit_code``. Each report is its `Report.to_dict`, and under ``gate`` what
    the run knows of it: ``target``, ``status``, ``known_failure``, ``file`` and ``line`` of the backward
    function.

    >>> json.loads(render(Run((), ("there is no file a.py",), {"seed": 0}, 0.0)))["exit_code"]
    2
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "environment": environment(),
        "seed": run.settings["seed"],
        "settings": dict(run.settings),
        "reports": [{**outcome.report.to_dict(), "gate": _gate(outcome)} for outcome in run.outcomes],
        "counts": {str(status).replace(" ", "_"): count for status, count in run.counts.items()},
        "problems": list(run.problems),
        "seconds": run.seconds,
        "exit_code": run.exit_code,
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def environment() -> dict[str, str]:
    """Return the versions on which a report depends."""
    from gradlab import __version__

    return {
        "gradlab": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: metadata.version(name) for name in PACKAGES},
    }


def _gate(outcome: Outcome) -> dict[str, Any]:
    return {
        "status": str(outcome.status).replace(" ", "_"),
        "target": outcome.target,
        "known_failure": outcome.known_failure,
        "file": outcome.file,
        "line": outcome.line,
    }
