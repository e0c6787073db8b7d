import sys
from pathlib import Path

import pytest

RULES = """
import numpy as np
from gradlab import Rule

square = Rule("square", lambda x: x**2, lambda dy, x: 2 * x * dy, (np.ones(2),))
cube = Rule("cube", lambda x: x**3, lambda dy, x: 3 * x * dy, (np.full(2, 2.0),))
ones = np.ones(2)
blind = Rule("blind", lambda x: 1e20 + x.sum(), lambda dy, x: dy * ones, (ones,))
number = 3
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty folder that is the current one, outside of any workflow; its modules are forgotten."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_WORKSPACE", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and tmp_path in Path(file).parents:
            del sys.modules[name]


@pytest.fixture
def write(project):
    """Write a file of the project: a right rule, a wrong one and an inconclusive one, or other text."""

    def write(path, text=RULES):
        file = project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write
