import pytest

from gradlab.errors import UsageError
from gradlab.runs.selection import selector

NAMES = ["softmax", "softmax_cross_entropy", "layer-tanh[3]", "x*y", "tanh"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", NAMES),
        ("softmax", ["softmax", "softmax_cross_entropy"]),
        ("SoftMax", ["softmax", "softmax_cross_entropy"]),
        ("softmax and not cross", ["softmax"]),
        ("cross or tanh", ["softmax_cross_entropy", "layer-tanh[3]", "tanh"]),
        ("not (cross or tanh)", ["softmax", "x*y"]),
        ("cross or softmax and layer", ["softmax_cross_entropy"]),  # `and` binds closer
        ("layer-tanh[3]", ["layer-tanh[3]"]),
        ("*", ["x*y"]),
        ("3", ["layer-tanh[3]"]),
        ("not not tanh", ["layer-tanh[3]", "tanh"]),
        (" \n tanh ", ["layer-tanh[3]", "tanh"]),
        ("_0", []),
    ],
)
def test_words_and_operators(expression, expected):
    assert [name for name in NAMES if selector(expression)(name)] == expected


@pytest.mark.parametrize(
    "expression",
    [
        "and",
        "a and",
        "a b",
        "not",
        "()",
        "(a",
        "a)",
        "a) or (b",
        "a(b)",
        "f()",
        "(a)(b)",
        "a or ()",
        "(" * 10_000,
    ],
)
def test_what_cannot_be_read_is_refused(expression):
    with pytest.raises(UsageError, match="expected parts of names, joined by and, or, not and parentheses"):
        selector(expression)
