import json
import sys

import pytest

from gradlab.errors import UsageError
from gradlab.rules import RULES, linear
from gradlab.runs.pool import Pool
from gradlab.runs.targets import find_rule, find_rules, importable


@pytest.fixture(autouse=True)
def here(project):
    with importable(project):
        yield


def collect(targets):
    with Pool() as pool:
        return pool.find(targets)


def names(target):
    return [rule.name for rule in find_rules(target)]


def test_built_in_rule():
    assert find_rules("linear") == [linear.RULE]


@pytest.mark.parametrize("target", ["shop.rules", "shop/rules.py", "./shop/../shop/rules.py"])
def test_module_or_file_gives_all_its_rules_in_order(target, write):
    write("shop/__init__.py", "")
    write("shop/rules.py")
    assert names(target) == ["square", "cube", "blind"]


@pytest.mark.parametrize("target", ["shop.rules:cube", "shop/rules.py:cube"])
def test_name_gives_one(target, write):
    write("shop/__init__.py", "")
    write("shop/rules.py")
    assert names(target) == ["cube"]


SEVERAL = """
from gradlab import Rule
make = lambda name: Rule(name, lambda x: x, lambda dy, x: dy, "(n)")
last = make("last")
RULES = [make("first"), last, make("odd name")]
MORE = (RULES[0], make("more"))
TOGETHER = [RULES, "text", None]
"""


def test_sequences_of_rules_count_each_rule_once(write):
    write("several.py", SEVERAL)
    assert names("several") == ["last", "first", "odd name", "more"]
    assert names("several:RULES") == ["first", "last", "odd name"]
    assert names("several:MORE") == ["first", "more"]


CONTAINED = """
from gradlab import Rule
make = lambda name: Rule(name, lambda x: x, lambda dy, x: dy, "(n)")
good = make("good")
NESTED = [good, [make("in a list"), (make("in a tuple"),)]]
PAIRS = [("label", make("in a pair"))]
KEPT = {"key": make("in a dictionary"), "more": [good]}
AMONG = {make("b in a set"), make("a in a set")}
ITSELF = [good]
ITSELF.append(ITSELF)
"""


def test_rules_in_containers_are_found_in_a_module_and_by_the_containers_name(write):
    write("contained.py", CONTAINED)
    assert names("contained.py:NESTED") == ["good", "in a list", "in a tuple"]
    assert names("contained.py:PAIRS") == ["in a pair"]
    assert names("contained.py:KEPT") == ["in a dictionary", "good"]
    assert names("contained.py:AMONG") == ["a in a set", "b in a set"]
    assert names("contained.py:ITSELF") == ["good"]
    assert names("contained") == [
        "good", "in a list", "in a tuple", "in a pair", "in a dictionary", "a in a set", "b in a set",
    ]  # fmt: skip


def test_rule_can_be_named_as_reports_call_it(write):
    write("several.py", SEVERAL)
    assert names("several.py:odd name") == ["odd name"]


def test_imported_built_in_rules_are_not_a_modules_own_unless_named(write):
    write(
        "own.py",
        f"from gradlab.rules import RULES as THEIRS\nfrom gradlab.rules.linear import RULE\n{SEVERAL}",
    )
    write("borrowed.py", "from gradlab.rules import RULES\n")
    assert names("own") == ["last", "first", "odd name", "more"]
    assert names("own:RULE") == ["linear"]
    assert len(find_rules("borrowed:RULES")) == len(RULES)
    with pytest.raises(UsageError, match="borrowed has no rules of its own"):
        find_rules("borrowed")


def test_gradlabs_own_modules_have_the_built_in_rules():
    assert names("gradlab.rules.linear") == ["linear"]
    assert find_rules("gradlab.rules") == list(RULES)


def test_file_imports_what_stands_beside_it(write):
    write("deep/helper.py", SEVERAL)
    write("deep/rules.py", "from helper import last\n")
    assert names("deep/rules.py") == ["last"]


def test_file_of_a_package_can_import_relatively_and_is_the_same_module(write):
    write("src/parcel/__init__.py", "")
    write("src/parcel/inner/__init__.py", "")
    write("src/parcel/base.py", SEVERAL)
    write("src/parcel/inner/rules.py", "from ..base import last\n")
    assert find_rules("src/parcel/inner/rules.py") == find_rules("parcel.base:last")


def test_file_that_another_module_hides_is_refused(write):
    write("one/twin/__init__.py", SEVERAL)
    write("two/twin/__init__.py", SEVERAL)
    assert len(names("one/twin/__init__.py")) == 4
    with pytest.raises(UsageError, match="is the module twin, but twin is imported from"):
        find_rules("two/twin/__init__.py")


def test_file_in_an_importable_folder_is_the_module_of_its_name(write):
    write("shop.py")
    assert find_rules("shop.py") == find_rules("shop")
    assert find_rules("shop.py")[0].forward.__module__ == "shop"


def test_file_with_the_name_of_another_module_is_loaded_all_the_same(write):
    write("json.py", SEVERAL)
    write("deep/two words.py", SEVERAL)
    assert names("json.py:last") == names("deep/two words.py:last") == ["last"]
    assert "last" not in vars(json)


def test_files_of_one_name_are_told_apart(write):
    write("one/rules.py", SEVERAL)
    write("two/rules.py")
    assert names("one/rules.py") + names("two/rules.py") == [
        "last", "first", "odd name", "more", "square", "cube", "blind",
    ]  # fmt: skip


HELPED = """
from gradlab import Rule
{}
cube = Rule("cube of {}", lambda x: x**3, lambda dy, x: power() * x**2 * dy, "(n)")
"""
TOP = "from helpers import power"
LAZY = "def power():\n    import helpers\n    return helpers.power()"
FURTHER = "from between import power"
PARTS = "from parts.helpers import power"


@pytest.mark.parametrize("imports", [TOP, LAZY, FURTHER, PARTS])
@pytest.mark.parametrize("order", ["ab", "ba"])
def test_file_is_refused_that_would_be_given_the_helpers_of_another_folder(imports, order, write):
    for folder, number in (("a", 3), ("b", 2)):
        write(f"{folder}/helpers.py", f"power = lambda: {number}\n")
        write(f"{folder}/parts/helpers.py", f"power = lambda: {number}\n")
        write(f"{folder}/between.py", TOP)
        write(f"{folder}/rules.py", HELPED.format(imports, folder))
    first, second = order
    found, (problem,) = collect([f"{first}/rules.py", f"{second}/rules.py"])
    assert [one.name for one in found] == [f"cube of {first}"]
    assert problem.startswith(f"{second}/rules.py imports ")
    assert "/a/" in problem
    assert "/b/" in problem


def test_helpers_of_one_name_that_are_not_both_imported_are_no_mixture(write):
    for folder, imports in (("a", TOP), ("b", "power = lambda: 3")):
        write(f"{folder}/helpers.py", "power = lambda: 3\n")
        write(f"{folder}/rules.py", HELPED.format(imports, folder))
    write("common/helpers.py", "power = lambda: 3\n")
    write("common/one.py", HELPED.format(TOP, "one"))
    write("common/two.py", HELPED.format(TOP, "two"))
    assert collect(["common/one.py", "common/two.py"])[1] == []
    assert names("a/rules.py") + names("b/rules.py") == ["cube of a", "cube of b"]


def test_function_imports_later_what_stands_beside_its_own_file(write):
    for folder in ("a", "b"):
        write(f"{folder}/helpers_{folder}.py", "power = lambda: 3\n")
        write(f"{folder}/rules.py", HELPED.format(LAZY.replace("helpers", f"helpers_{folder}"), folder))
    write("b/helpers_a.py", "power = lambda: 2\n")
    rules = [find_rules(f"{folder}/rules.py")[0] for folder in "ab"]
    assert find_rules("a/rules.py") == rules[:1]  # as before a rule is checked
    assert rules[0].backward(1.0, 1.0) == 3


def test_module_is_not_the_one_beside_a_file(write):
    write("shop.py")
    write("deep/shop.py", SEVERAL)
    write("deep/rules.py", SEVERAL)
    assert names("deep/rules.py") + names("shop") == [
        "last", "first", "odd name", "more", "square", "cube", "blind",
    ]  # fmt: skip


def test_each_rule_is_collected_once_whatever_it_is_called(write):
    write("shop/__init__.py", "")
    write("shop/rules.py")
    found, problems = collect(["shop.rules:cube", "shop/rules.py", "shop.rules", "linear", "linear"])
    assert [one.name for one in found] == ["cube", "square", "blind", "linear"]
    assert [(one.target, one.position) for one in found[:3]] == [
        ("shop.rules:cube", 0),
        ("shop/rules.py", 0),
        ("shop/rules.py", 2),
    ]
    assert problems == []


def test_target_without_rules_leaves_the_others(write):
    write("shop.py")
    found, problems = collect(["nothing", "shop", "missing.py"])
    assert [one.name for one in found] == ["square", "cube", "blind"]
    assert len(problems) == 2


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("sofmax", "there is no rule or module 'sofmax'; did you mean 'softmax'?"),
        ("shop.nothing", "there is no module 'shop.nothing'"),
        ("nothing.deep", "there is no module 'nothing.deep'"),
        ("shop/rules", "there is no rule or module 'shop/rules'; expected a built-in rule"),
        ("", "there is no rule or module ''"),
        (":name", "there is no rule or module ''"),
        ("linear:backward", "'linear' is a built-in rule, and no module; expected linear alone"),
        ("deep", "deep is a folder; expected a file in it, such as deep/rules.py"),
        ("./deep", "./deep is a folder; expected a file in it, such as deep/rules.py"),
        ("shop.py::cube", "expected shop.py:name, with one colon"),
        ("pyproject.toml", "pyproject.toml is no file of Python; expected a built-in rule, package.module"),
        ("missing.py", "there is no file missing.py"),
        ("missing.py:name", "there is no file missing.py"),
        ("shop:nothing", "shop has no 'nothing'; the rules in it are square, cube, blind"),
        ("shop:number", "shop:number is the int 3; expected a gradlab.Rule or a list of them"),
        ("mixed:TOGETHER", "mixed:TOGETHER is a list of length 3 with None in it; expected a gradlab.Rule"),
        ("mixed:HALF", "mixed:HALF is a list of length 2 with the int 3 in it; expected a gradlab.Rule or a"),
        ("raises", "raises cannot be imported: ZeroDivisionError: division by zero"),
        ("raises", "raises.py, line 2"),
        ("raises.py", "raises.py cannot be imported: ZeroDivisionError"),
        ("deep/raises.py", "deep/raises.py cannot be imported: ZeroDivisionError"),
        ("pack/raises.py", "pack/raises.py cannot be imported: ZeroDivisionError"),
        ("leaves", "leaves cannot be imported: SystemExit: 0"),
        ("lacks", "lacks cannot be imported: ModuleNotFoundError: No module named 'absent'"),
        ("syntax", "syntax cannot be imported: SyntaxError"),
    ],
)
def test_what_cannot_be_found_is_said_in_one_sentence(target, message, write):
    write("shop.py")
    write("mixed.py", f"{SEVERAL}\nHALF = [last, 3]\n")
    write("raises.py", "\n1 / 0\n")
    write("pyproject.toml", "")
    write("deep/raises.py", "\n1 / 0\n")
    write("pack/__init__.py", "")
    write("pack/raises.py", "\n1 / 0\n")
    write("leaves.py", "exit(0)\n")
    write("lacks.py", "import absent\n")
    write("syntax.py", "def (:\n")
    with pytest.raises(UsageError) as caught:
        find_rules(target)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_name_of_a_built_in_rule_and_of_a_file_is_ambiguous(write):
    write("tanh.py")
    with pytest.raises(UsageError, match=r"'tanh' is a built-in rule, and there is also tanh\.py"):
        find_rules("tanh")
    assert names("tanh.py") == ["square", "cube", "blind"]


def test_name_of_a_built_in_rule_and_of_a_package_on_the_path_is_ambiguous(write, project):
    write("src/linear/__init__.py")
    with (
        importable(project / "src"),
        pytest.raises(
            UsageError, match=r"'linear' is a built-in rule, .* src/linear/__init__\.py for the file"
        ),
    ):
        find_rules("linear")
    (project / "tanh").mkdir()  # a folder of data, not a module with rules
    assert names("tanh") == ["tanh"]


def test_one_rule_is_asked_for_and_several_come(write):
    write("shop.py")
    with pytest.raises(
        UsageError, match=r"shop names 3 rules \(square, cube, blind\); expected one, as in shop:square"
    ):
        find_rule("shop")


def test_rule_that_asks_gradlab_wrongly_is_blamed_at_its_own_line(write):
    write("shop.py", "from gradlab.strategies import labels\n\nlabels(2)\n")
    with pytest.raises(
        UsageError, match=r"shop cannot be imported: UsageError: labels .*shop\.py, line 3\)$"
    ):
        find_rules("shop")


def test_rule_that_cannot_be_made_is_blamed_at_its_own_line(write):
    write("shop.py", "from gradlab import Rule\n\nRule('r', 3, None, '(n)')\n")
    with pytest.raises(UsageError, match=r"rule 'r': forward is 3.*shop\.py, line 3\)$"):
        find_rules("shop")


def test_import_path_is_as_before_afterwards(write, project):
    before = list(sys.path)
    with importable(project / "other"):
        write("deep/rules.py", SEVERAL)
        assert names("deep/rules.py") == ["last", "first", "odd name", "more"]
    assert sys.path == before
