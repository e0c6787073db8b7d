"""The life of a process in which rules are found and checked, on behalf of the one that started it.

It is asked on its standard input and answers on what was its standard output, one pickle after another:

=========================================  ==============================================================
`Find`                                      an `int` before each target that is imported, then a `Listing`
`Check`                                     0 before its target is imported, `Begun`, `Progress` after each
                                            point, `Settled` where pictures are still to be taken, then a
                                            `Result`
=========================================  ==============================================================

What it must survive are the rules: what they print, also from C, goes to standard error; nothing can be read
from standard input; a copy of the process that a rule forks says nothing. What it cannot survive it leaves
behind: `faulthandler` writes the stack to a file of the other process.
"""

from __future__ import annotations

import faulthandler
import importlib
import io
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from gradlab.rule import Rule
from gradlab.runs.outcomes import ErrorKind, Listed, Options, Progress, Result, RuleError
from gradlab.runs.pickled import Pickled, pickled, unpickled

LOST = 74  # the exit code where a rule has closed the channel: that of errors of input and output, on BSD


@dataclass(frozen=True)
class Find:
    """Asks which rules targets name; ``finder`` is the module that knows, by its function ``find_rules``.

    With ``pickles``, each comes as it is, to be sent to where its target names nothing; with ``coded``, the
    listing tells their code.
    """

    finder: str
    targets: tuple[Any, ...]
    pickles: bool = False
    coded: bool = False


@dataclass(frozen=True)
class Check:
    """Asks what becomes of a rule."""

    finder: str
    rule: Listed
    options: Options


@dataclass(frozen=True)
class Listing:
    """The rules, each once, a sentence for each target that names none, by its position, and their code."""

    rules: tuple[Listed, ...]
    problems: dict[int, str]
    code: str = ""


@dataclass(frozen=True)
class Begun:
    """The rule is found; from here on the time is the rule's."""

    call: str


@dataclass(frozen=True)
class Settled:
    """What came of a rule, before its pictures are taken: that stands, whatever becomes of these."""

    result: Result


def main(stacks: int | None) -> None:
    """Answer until there is nothing more to answer.

    Parameters
    ----------
    stacks : int or None
        The descriptor to which stacks are written; where there is none, on Windows, they go to standard
        error.
    """
    requests, answers = _channels()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other process's matter
    if stacks is not None:
        faulthandler.enable(stacks)
        # Dumps, then does what the signal does by default: the process ends.
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGALRM):
            faulthandler.register(number, stacks, chain=True)
    else:
        faulthandler.enable()
    with suppress(OSError):  # where memory runs out, Linux ends this process rather than another
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    home, process, error_output = Path.cwd(), os.getpid(), os.dup(2)

    def restore() -> None:
        """Undo what a rule may have done to what all share."""
        os.chdir(home)
        for descriptor in (1, 2):
            os.dup2(error_output, descriptor)

    def answer(message: object) -> None:
        if os.getpid() != process:
            os._exit(0)  # a copy that a rule has made
        pickled = pickle.dumps(message)
        try:
            answers.write(pickled)
            answers.flush()
        except (OSError, ValueError):
            os._exit(LOST)

    waiting = _received(requests)
    while (request := waiting.get()) is not None:
        restore()
        said = _found(request, answer) if isinstance(request, Find) else _checked(request, answer)
        waiting.task_done()  # first: with the answer, the other process may close the channel
        answer(said)


def _channels() -> tuple[BinaryIO, BinaryIO]:
    """Return copies of standard input and output that rules do not know, and put others in their place."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what a rule has printed is not lost when it crashes
    return requests, answers


def _received(requests: BinaryIO) -> queue.Queue[Any]:
    """Return the requests as they come, and ``None`` after the last."""
    waiting: queue.Queue[Any] = queue.Queue()

    def receive() -> None:
        with suppress(EOFError, OSError):
            while True:
                waiting.put(pickle.load(requests))
        if waiting.unfinished_tasks:
            _end()  # whoever asked has died in the meantime
        waiting.put(None)

    threading.Thread(target=receive, daemon=True).start()
    return waiting


def _end() -> None:
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)  # this process, and those that it started
    os._exit(1)


def _found(request: Find, answer: Any) -> Listing:
    from gradlab.runs.source import source_of

    finder = importlib.import_module(request.finder)
    found: dict[int, tuple[Rule, Listed]] = {}
    problems = {}
    for number, target in enumerate(request.targets):
        answer(number)
        try:
            for position, rule in enumerate(finder.find_rules(target)):
                if id(rule) not in found:
                    file, line = source_of(rule.backward or rule.jvp) or (None, None)
                    place = _pickled(rule, target) if request.pickles else target
                    listed = Listed(rule.name, place, position, rule.known_failure, file, line)
                    found[id(rule)] = rule, listed
        except BaseException as error:
            problems[number] = _problem(target, error)
    code = ""
    if request.coded:
        from gradlab.runs.code import code_of

        code = code_of(rule for rule, _ in found.values())
    return Listing(tuple(listed for _, listed in found.values()), problems, code)


def _pickled(rule: Rule, target: Any) -> Pickled:
    from gradlab._snippet.calls import homes_of
    from gradlab._snippet.names import origin_of

    return pickled(rule, str(target), origin_of(rule, *homes_of(rule)))


def _problem(target: Any, error: BaseException) -> str:
    from gradlab.errors import UsageError
    from gradlab.point.values import text_of

    if isinstance(error, UsageError):
        return text_of(error)
    return f"{target} cannot be imported: {type(error).__name__}: {text_of(error)}".removesuffix(": ")


def _checked(request: Check, answer: Any) -> Result:
    from gradlab.runs.one import call_of, check, with_pictures

    answer(0)
    rule = _rule_of(request)
    if isinstance(rule, Result):
        return rule
    answer(Begun(call_of(rule, request.options)))
    result = check(rule, request.options, lambda points, doing: answer(Progress(points, doing)))
    if not request.options.pictures or result.report is None or result.report.passed:
        return result
    answer(Settled(result))
    return with_pictures(result)


def _rule_of(request: Check) -> Rule | Result:
    """Return the rule, as it was sent or as its target gives it again, or why there is none."""
    listed = request.rule
    if isinstance(listed.target, Pickled):
        try:
            return unpickled(listed)
        except BaseException as error:
            return Result(error=RuleError(ErrorKind.USAGE, _problem("it", error)))
    finder = importlib.import_module(request.finder)
    try:
        found: Sequence[Rule] = finder.find_rules(listed.target)
    except BaseException as error:
        return _not_again(listed, _problem(listed.target, error))
    if len(found) <= listed.position or found[listed.position].name != listed.name:
        return _not_again(listed, "it is another one, or none, when that is imported again")
    return found[listed.position]


def _not_again(listed: Listed, why: str) -> Result:
    message = (
        f"rule {listed.name!r} is not found again as number {listed.position + 1} of {listed.target}: {why}; "
        "what a module defines must not depend on chance"
    )
    return Result(error=RuleError(ErrorKind.USAGE, message))
