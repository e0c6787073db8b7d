"""The catalogue of right rules and defects, shown to each checker at the same points."""

import time
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from peer import NotApplicable, of_floating

from gradlab.mutants import catalogue, run
from gradlab.mutants.runner import point

LARGE = "million"  # its points have a million entries, and not every checker is asked: no cost is compared
HEAD = "checker | caught | told apart | missed | undecided | raised | n/a"
HEAD_RIGHT = "checker | accepted | false alarms | undecided | raised | n/a"
HEAD_COST = "checker | forward calls for a right rule | for a defect | seconds in all"


@dataclass(frozen=True)
class Said:
    """What a checker said of the catalogue.

    Attributes
    ----------
    of : list of (Result, str)
        Each result, with its `outcome`.
    seconds : float
        CPU time, without the largest case.
    """

    of: list
    seconds: float


def show(peers, seeds):
    """Return what each checker says, by its name, gradlab first."""
    said = {"gradlab": listen(lambda seed: None, seeds, lambda result: result.outcome)}
    for peer in peers:
        said[peer.name] = listen(peer.checker, seeds, lambda result, peer=peer: outcome(result, peer))
    return said


def listen(checker, seeds, outcome_of):
    """Show the catalogue to one checker."""
    results, seconds = [], 0.0
    for seed in seeds:
        for case in catalogue():
            if case.forward_mode:
                continue  # peers are asked about backward rules
            started = time.process_time()
            results += run(checker(seed), [case], seed)
            seconds += (time.process_time() - started) * (case.name != LARGE)
    return Said([(result, outcome_of(result)) for result in results], seconds)


def outcome(result, peer):
    """Return what a peer said: `Result.outcome`, or "n/a" where it could not be asked that."""
    if result.message.startswith(NotApplicable.__name__):
        return "n/a"
    if result.missed and not peer.single and right_in_double(result):
        return "n/a"
    return result.outcome


def right_in_double(result):
    """Whether a float32 defect is none when it is given the same numbers in float64."""
    inputs = point(result.case, result.seed)
    if not any(np.asarray(value).dtype == np.float32 for value in inputs):
        return False

    def gradients(defect):
        f, b, xs = of_floating(*result.case.plain(defect), inputs, double=True)
        return b(np.ones_like(f(*xs)), *xs)

    return all(map(np.allclose, gradients(result.defect), gradients(None)))


def tables(said):
    """Yield the lines of the tables, in Markdown: ``said`` are the answers of each checker by its name."""
    yield "defects\n"
    yield from markdown(HEAD.split(" | "), (wrong_row(name, its) for name, its in said.items()))
    yield "\nright rules\n"
    yield from markdown(HEAD_RIGHT.split(" | "), (right_row(name, its) for name, its in said.items()))
    yield f"\ncost, without the rule `{LARGE}`, which not every checker can be asked\n"
    yield from markdown(HEAD_COST.split(" | "), (cost_row(name, its) for name, its in said.items()))
    yield "\nkinds of defects that are missed, of how many\n"
    for name, its in said.items():
        yield f"- {name}: {missed_kinds(its.of)}"
    yield ""
    yield from beyond_gradlab({name: its.of for name, its in said.items()})


def wrong_row(name, said):
    """Return what one checker said of the defects."""
    counts = Counter(answer for result, answer in said.of if result.defect is not None)
    others = (counts[answer] for answer in ("accepted", "inconclusive", "error", "n/a"))
    return (name, counts["rejected"], len(told_apart(said.of)), *others)


def right_row(name, said):
    """Return what one checker said of the right rules."""
    counts = Counter(answer for result, answer in said.of if result.defect is None)
    return (name, *(counts[answer] for answer in ("accepted", "rejected", "inconclusive", "error", "n/a")))


def cost_row(name, said):
    """Return what it took one checker to say so: the mean numbers of calls, and the CPU time."""
    calls = {True: [], False: []}
    for result, _ in said.of:
        if result.case.name != LARGE:
            calls[result.defect is None].append(result.forward_calls)
    return (name, f"{np.mean(calls[True]):.0f}", f"{np.mean(calls[False]):.0f}", f"{said.seconds:.1f}")


def told_apart(results):
    """Return the defects, by name and seed, that are rejected, or raise, where the right rule is accepted."""
    accepted = {(r.case.name, r.seed) for r, said in results if r.defect is None and said == "accepted"}
    return {
        (r.name, r.seed)
        for r, said in results
        if r.defect is not None and said in ("rejected", "error") and (r.case.name, r.seed) in accepted
    }


def missed_kinds(results):
    """Return the kinds of the defects that were missed, the most frequent first."""
    shown = Counter(r.defect.kind for r, _ in results if r.defect is not None)
    missed = Counter(r.defect.kind for r, said in results if r.defect is not None and said == "accepted")
    return ", ".join(f"{kind} {n}/{shown[kind]}" for kind, n in missed.most_common()) or "none"


def beyond_gradlab(found):
    """Yield what a peer does better than gradlab, and the right rules that gradlab does not accept."""
    caught, better = told_apart(found["gradlab"]), defaultdict(list)
    for name, results in found.items():
        for defect in sorted(told_apart(results) - caught):
            better[defect].append(name)
    accepting = defaultdict(list)
    for name, results in found.items():
        for result, said in results:
            if result.defect is None and said == "accepted":
                accepting[result.name, result.seed].append(name)
    refused = {
        (r.name, r.seed): [said, "accepted by " + (", ".join(accepting[r.name, r.seed]) or "no peer")]
        for r, said in found["gradlab"]
        if r.defect is None and said != "accepted"
    }
    yield "defects that a peer tells from the right rule, and gradlab does not\n"
    yield from by_seeds(better)
    yield "\nright rules that gradlab does not accept\n"
    yield from by_seeds(refused)


def by_seeds(notes):
    """Yield one line for all seeds at which the same is noted; ``notes`` are lists by name and seed."""
    seeds = defaultdict(list)
    for (name, seed), note in notes.items():
        seeds[name, ", ".join(note)].append(seed)
    for (name, note), at in seeds.items():
        yield f"- {name} (seeds {' '.join(map(str, at))}): {note}"
    if not seeds:
        yield "- none"


def markdown(head, rows):
    """Yield a table."""
    yield f"| {' | '.join(head)} |"
    yield "|---" + "|--:" * (len(head) - 1) + "|"
    for cells in rows:
        yield f"| {' | '.join(map(str, cells))} |"
