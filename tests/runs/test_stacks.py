from pathlib import Path

import gradlab
from gradlab.runs.stacks import MOST, Frame, dumped, users, written

OURS = Frame(str(Path(gradlab.__file__).parent / "point" / "functions.py"), 399, "call_forward")
BUILT_IN = Frame(str(Path(gradlab.__file__).parent / "rules" / "linear.py"), 20, "forward")
MINE = Frame("shop.py", 3, "forward")

DUMP = f"""Fatal Python error: Segmentation fault

Thread 0x00007f2b (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait

Current thread 0x00007f3a (most recent call first):
  File "shop.py", line 9 in inner
  File "shop.py", line 3 in forward
  File "{OURS.file}", line 399 in call_forward
  File "/usr/lib/hypothesis/core.py", line 1 in run

Extension modules: numpy._core._multiarray_umath (total: 1)
"""


def test_calls_of_the_rule_are_those_below_gradlabs():
    assert users([OURS, MINE, OURS, MINE, MINE]) == [MINE, MINE]
    assert users([OURS]) == []


def test_built_in_rules_are_rules():
    assert users([OURS, BUILT_IN]) == [BUILT_IN]


def test_dump_is_turned_round_and_cut_to_the_rule_in_the_thread_that_ran():
    assert dumped(DUMP) == 'File "shop.py", line 3, in forward\nFile "shop.py", line 9, in inner'


def test_dump_without_calls_of_the_rule_is_kept_whole():
    assert dumped(DUMP.replace("shop.py", OURS.file)).count(OURS.file) == 3


def test_nothing_that_was_dumped_is_no_stack():
    assert dumped("") == ""
    assert dumped("Segmentation fault") == ""


def test_of_very_many_calls_the_last_are_shown():
    frames = [Frame("shop.py", line, "forward") for line in range(100, 200)]
    lines = written(frames).splitlines()
    assert lines[0] == "..."
    assert lines[-1] == 'File "shop.py", line 199, in forward'
    assert len(lines) == MOST + 1
