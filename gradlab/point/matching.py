"""Which gradient belongs to which leaf: what backward returned, laid over the tree of inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradlab.point.arguments import Arguments
from gradlab.point.trees import Node, Tree, is_record, items_of, leaves_like, positions
from gradlab.point.values import describe
from gradlab.words import counted

PLAIN = frozenset((np.ndarray, np.float64))  # what most functions return


@dataclass
class Match:
    """One reading of an answer.

    Attributes
    ----------
    gradients : dict of int to object
        What stands in the answer for each leaf that has a place there; ``None`` where it is left out.
    misfits : list of (str, str)
        Where the structure is wrong: the name of an input or a container, empty for all inputs together, and
        what is wrong with the gradient of it.
    nested : int
        How many containers stand in the answer where an array is expected.
    """

    gradients: dict[int, Any] = field(default_factory=dict)
    misfits: list[tuple[str, str]] = field(default_factory=list)
    nested: int = 0


def match(arguments: Arguments, returned: Any) -> Match:
    """Match what backward returned with the leaves of the inputs.

    A tuple or list has one gradient for every input, or one for every floating-point input, or one for every
    input that is differentiated, and so have the tuples and lists in it; a dict has them by name. Of a single
    input, the gradient may stand by itself. Where that leaves a choice, what fits the inputs is taken.
    """
    root = arguments.tree
    for form in ((returned,),) if type(returned) in PLAIN else (returned, (returned,)):
        leaves = leaves_like(root, form)
        if leaves is None and arguments.flat and type(form) is tuple and len(form) == len(arguments.floating):
            leaves = dict(zip(arguments.floating, form, strict=True))
        if leaves is not None and PLAIN.issuperset(map(type, leaves.values())):
            return Match(leaves)  # by far the most frequent: nothing is left to choose
    reader = _Reader(arguments)
    by_keyword = isinstance(returned, Mapping) and arguments.by_keyword
    by_input = reader.read(root, (returned,) if items_of(returned) is None else returned)
    if by_keyword or not _misplaced(by_input):
        return by_input
    single = next((kept[0] for kept in reader.restrictions(root) if len(kept) == 1), None)
    if single is None:
        return by_input
    alone = reader.read(root, {root.keys[single]: returned})
    # Of two that fit equally badly, the one that says more about the answer.
    readings = (alone, by_input) if isinstance(root.children[single], Node) else (by_input, alone)
    return min(readings, key=_misplaced)


def _misplaced(reading: Match) -> int:
    return len(reading.misfits) + reading.nested


class _Reader:
    def __init__(self, arguments: Arguments) -> None:
        self._wrt, self._floating = set(arguments.wrt), set(arguments.floating)

    def read(self, tree: Tree, gradient: Any) -> Match:
        found = Match()
        self._place(found, tree, gradient)
        return found

    def restrictions(self, tree: Node) -> Iterator[list[int]]:
        """Yield the children that an answer may be restricted to: all, the floating ones, those asked for."""
        yield list(range(len(tree.children)))
        leaves = [set(positions(child)) for child in tree.children]
        for some in (self._floating, self._wrt):
            yield [k for k, own in enumerate(leaves) if own & some]

    def _place(self, found: Match, tree: Tree, gradient: Any) -> None:
        if isinstance(tree, int):
            found.gradients[tree] = gradient
            found.nested += tree in self._wrt and items_of(gradient) is not None
            return
        ordered = isinstance(gradient, tuple | list)
        by_key = isinstance(gradient, Mapping) or (is_record(gradient) and not ordered)
        if gradient is None:
            found.gradients.update(dict.fromkeys(positions(tree)))
        elif by_key and tree.keyed:
            self._place_by_key(found, tree, items_of(gradient) or {})
        elif ordered and tree.ordered:
            self._place_in_order(found, tree, gradient)
        else:
            form = "a dict" if tree.keyed else "a tuple or list"
            what = f"is {describe(gradient)}; expected {form} with one for each of {', '.join(tree.paths)}"
            found.misfits.append((tree.name, what))

    def _place_by_key(self, found: Match, tree: Node, items: Mapping[Any, Any]) -> None:
        unknown = [str(key) for key in items if key not in tree.keys]
        if unknown:
            known = ", ".join(map(str, tree.keys))
            whose = f"{tree.name} has" if tree.name else "the inputs are"
            found.misfits.append(
                (tree.name, f"{_has(tree)} a gradient for {', '.join(unknown)}; {whose} {known}")
            )
        for key, path, child in zip(tree.keys, tree.paths, tree.children, strict=True):
            if key not in items and self._wrt.intersection(positions(child)):
                given = f"what backward returns{tree.name and f' for {tree.name}'} has"
                found.misfits.append((path, f"is missing; {given} {', '.join(map(str, items)) or 'nothing'}"))
            else:
                self._place(found, child, items.get(key))

    def _place_in_order(self, found: Match, tree: Node, gradients: Sequence[Any]) -> None:
        for kept in self.restrictions(tree):
            if len(gradients) == len(kept):
                given = dict(zip(kept, gradients, strict=True))
                for k, child in enumerate(tree.children):
                    self._place(found, child, given.get(k))
                return
        noun = counted(len(gradients), "item" if tree.name else "gradient")
        what = f"{_has(tree)} {noun}; expected {len(tree.keys)}, one for each of {', '.join(tree.paths)}"
        if len(kept) < len(tree.keys):
            what += f" (or {len(kept)}, for {', '.join(tree.paths[k] for k in kept)})"
        found.misfits.append((tree.name, what))


def _has(tree: Node) -> str:
    return "has" if tree.name else "returns"
