"""The structure: imports point one way, and `import gradlab` is cheap."""

import ast
import graphlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import gradlab

PACKAGE = Path(gradlab.__file__).parent

# Each layer may import from those above it, and from itself where it is a folder.
LAYERS = [
    ["errors", "words", "_in_hypothesis", "_options"],
    ["tangents"],
    ["_executors", "_files", "_journal", "_modules"],
    ["_pickling"],
    ["report"],
    ["rule"],
    ["numerics"],
    ["point"],
    ["_snippet"],
    ["checks"],
    ["_assemble", "_numerical", "pictures"],
    ["_question"],
    ["_gradcheck"],
    ["_jacobian", "_gradgradcheck"],
    ["_derivative"],
    ["strategies"],
    ["_framework"],
    ["autograd", "jax", "scipy", "torch"],
    ["layers", "_value_and_grad", "_points", "_tally"],
    ["_search"],
    ["_verify"],
    ["rules"],
    ["networks"],
    ["mutants"],
    ["_explain", "training"],
    ["runs"],
    ["plots", "reporters"],
    ["cli", "pytest_plugin"],
    ["__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# Deferred to the call, and no others: how a report reads is the reporters' matter, and what makes a rule of a
# layer, or of a function of a framework, needs more than a rule does.
ALLOWED = {
    ("report", "reporters"),
    ("report", "plots"),
    ("runs", "reporters"),
    *(("rule", more) for more in ("layers", "jax", "torch")),
}
# Rules are what is checked: they know nothing of what checks them.
BLIND = {
    "rules": {"point", "checks", "_question", "_gradcheck", "_verify", "numerics"},
    "reporters": {"point", "checks"},
}


@cache
def trees():
    """Return the syntax trees of all modules, by their paths."""
    return {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(path):
    tree = ast.Module([node for node in trees()[path].body if not is_type_checking(node)], [])
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gradlab"):
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]


def is_type_checking(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def arrows():
    for path in trees():
        here = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if here != "__init__":
            yield from ((here, there) for there in imports_of(path) if there != here and there in LEVEL)


def test_every_module_has_a_layer():
    modules = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in trees()}
    assert modules - {"__init__"} == set(LEVEL)


def test_no_arrow_runs_back():
    found = list(arrows())
    assert len(found) > 30
    assert [arrow for arrow in found if LEVEL[arrow[0]] <= LEVEL[arrow[1]] and arrow not in ALLOWED] == []
    assert [arrow for arrow in found if arrow[1] in BLIND.get(arrow[0], ())] == []


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def test_within_a_layer_too_imports_run_one_way():
    paths = {module_name(path): path for path in trees()}
    graph = {}
    for importer, path in paths.items():
        # What a function imports is deferred to its call.
        nodes = [node for node in trees()[path].body if isinstance(node, ast.ImportFrom)]
        names = [(node.module, f"{node.module}.{alias.name}") for node in nodes for alias in node.names]
        graph[importer] = {inner if inner in paths else outer for outer, inner in names} & set(paths)
    assert "gradlab.checks.judge" in graph["gradlab.checks.probing"]
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(paths)  # or it names a cycle


def test_all_is_exactly_what_is_public():
    assert sorted(gradlab.__all__) == sorted(gradlab._HOME)
    assert dir(gradlab) == sorted([*gradlab._HOME, *gradlab._MODULES, "__version__"])
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    assert set(gradlab._MODULES) <= modules
    assert all(getattr(gradlab, name) is not None for name in gradlab.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gradlab.nothing


def test_import_loads_nothing_heavy():
    code = "import sys, gradlab; print([m for m in ('scipy', 'hypothesis', 'pytest') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_gradcheck_needs_numpy_alone():
    code = (
        "import sys, gradlab; gradlab.gradcheck; "
        "print([m for m in ('scipy', 'hypothesis') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_only_the_command_line_prints():
    for path, tree in trees().items():
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        prints = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
        assert not prints or "cli" in path.relative_to(PACKAGE).parts
