"""The derivation of a rule as a page: its Jacobian drawn, contracted step by step, beside backward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab._explain import PAGES, Derived, DerivedInput, derived, explain
from gradlab.networks import language_model, neuron
from gradlab.numerics import Array
from gradlab.reporters.drawings import Figure
from gradlab.reporters.drawings.canvas import figure
from gradlab.reporters.drawings.graphs import HIGH, Edge, Node, graph
from gradlab.reporters.drawings.products import row_of, whole
from gradlab.reporters.page import rendered
from gradlab.reporters.wording import clean
from gradlab.rule import Rule
from gradlab.rules import linear, softmax

FORMULAS = {
    linear.RULE: ("Y = X W", "dL/dX = dL/dY · Wᵀ", "dL/dW = Xᵀ · dL/dY"),
    softmax.RULE: ("Y = exp(Z) / Σ exp(Z), along the last axis", "dL/dZ = Y ∘ (dL/dY − Σ dL/dY ∘ Y)"),
    neuron.RULE: (
        "o = tanh(w2 tanh(w1 x)),  L = ½ (y − o)²",
        "δ = −(y − o)(1 − o²)",
        "dL/dw2 = δ h,  dL/dw1 = δ w2 (1 − h²) x",
    ),
    language_model.RULE: (
        "X = [c1; c2; c3],  c_k = C[i_k]",
        "H = tanh(X W1),  P = softmax(H W2)",
        "L = −1/B Σ_b log P[b, t_b]",
    ),
}
ALIKE = 1e-6  # of the largest entry: what is nearer is called equal
DRAWN = 24  # entries of an array of the point
TERMS = 12  # entries of an input whose contraction is written out


@dataclass(frozen=True)
class Step:
    """One step of a derivation: what is done, and its pictures."""

    title: str
    words: str
    figures: tuple[Figure, ...]


def page_of_rule(rule: Rule) -> str:
    """Return the page of a rule.

    Raises
    ------
    UsageError
        As `gradlab.explain`, and where jinja2 is missing.
    """
    from markupsafe import Markup

    steps = []
    numbers = derived(rule)
    for step in _steps(rule, numbers):
        drawn = tuple(Figure(f.title, f.caption, f.alt, Markup(f.svg)) for f in step.figures)
        steps.append(Step(step.title, step.words, drawn))
    name = clean(rule.name)
    formulas = next((lines for known, lines in FORMULAS.items() if known == rule), ())
    title = f"{name}: the derivation - gradlab"
    text = explain(rule) if rule in PAGES else explain(rule, inputs=numbers.point)
    return rendered("explained.html.j2", title=title, name=name, formulas=formulas, steps=steps, text=text)


def _steps(rule: Rule, d: Derived) -> Iterator[Step]:
    if rule == neuron.RULE:
        yield _neuron()
    if rule == language_model.RULE:
        yield _language_model(d)
    yield _point(d)
    if d.output.size > 1:
        for one in d.inputs:
            yield from _input(d, one)
    else:
        words = "L is one number: its Jacobian by an input is the gradient, in the shape of that input."
        figures = [(one, *_beside(one)) for one in d.inputs]
        drawn = tuple(Figure(f"dL/d{clean(one.name)}", said, alt, svg) for one, said, alt, svg in figures)
        yield Step("The gradients", words, drawn)


def _point(d: Derived) -> Step:
    shown = [(clean(name), value) for name, value in d.values if _is_drawn(value)]
    terms = [*shown, ("Y", d.output), ("dL/dY", d.upstream)]
    alt = f"The inputs {', '.join(name for name, _ in shown)}, the output Y and the upstream gradient dL/dY."
    caption = "Blue is positive, orange negative, the stronger the larger."
    drawn = Figure("", caption, alt, row_of(terms, alt))
    return Step("The point", "One small point, at which everything is computed.", (drawn,))


def _is_drawn(value: Any) -> bool:
    array = np.asarray(value) if isinstance(value, np.ndarray | np.number | int | float) else None
    return array is not None and array.dtype.kind in "biuf" and array.size <= DRAWN


def _input(d: Derived, one: DerivedInput) -> Iterator[Step]:
    """Yield the Jacobian by one input, its contraction entry by entry, and what that gives."""
    name, shape = clean(one.name), one.contracted.shape
    flat = one.jacobian.reshape(d.output.size, -1)
    rows, columns = flat.shape
    alt = f"The Jacobian of Y by {name}, {rows} rows, {columns} columns."
    words = f"A row for each entry of Y, a column for each entry of {name}: {rows} × {columns} numbers."
    yield Step(f"The Jacobian dY/d{name}", words, (Figure("", "", alt, whole(flat, one.labels, name, alt)),))
    words = "Each column, laid out in the shape of Y, is a block: it is multiplied by dL/dY entry by entry."
    drawn = tuple(_contraction(d, entry, flat[:, k]) for k, entry in enumerate(one.labels[:TERMS]))
    yield Step(f"The contraction, for each entry of {name}", words, drawn)
    said, alt, svg = _beside(one)
    words = f"What the sums give, in the shape of {name}, beside what backward returns. {said}"
    title = f"dL/d{name}, {'×'.join(map(str, shape)) or 'a number'}"
    yield Step(title, words, (Figure("", "", alt, svg),))


def _contraction(d: Derived, entry: str, column: Array) -> Figure:
    block = column.reshape(d.output.shape)
    product = d.upstream * block
    total = figure(float(product.sum()), 5)
    alt = f"dL/dY times the block dY/d{entry}, entry by entry, and summed: {total}."
    terms: list[tuple[str, Any]] = [("dL/dY", d.upstream), ("", "∘"), (f"dY/d{entry}", block)]
    terms += [("", "="), ("product", product), ("", f"Σ = {total}")]
    return Figure(f"dL/d{entry} = {total}", "", alt, row_of(terms, alt))


def _beside(one: DerivedInput) -> tuple[str, str, str]:
    """Return what the contraction gives beside what backward returns: in words, for the blind, drawn."""
    terms: list[tuple[str, Any]] = [("contraction", one.contracted)]
    said = ""
    if one.returned is not None:
        size = float(np.max(np.abs(one.contracted), initial=0.0)) or 1.0
        away = float(np.max(np.abs(one.contracted - one.returned), initial=0.0)) / size
        terms += [("", "=" if away < ALIKE else "≠"), ("backward", one.returned)]
        said = f"They differ by at most {away:.0e} of the largest entry." if away else "They are equal."
    alt = f"dL/d{clean(one.name)} from the contraction, and what backward returns. {said}"
    return said, alt, row_of(terms, alt)


def _neuron() -> Step:
    """Draw the graph of the neuron, the factor that both gradients share marked."""
    from gradlab._explain.neuron_page import PAIR, WEIGHTS

    loss, v = neuron.forward(**WEIGHTS, **PAIR)  # type: ignore[arg-type]
    delta = float(neuron.shared_factor(v))
    dw1, dw2, _, _ = neuron.backward(1.0, v)  # type: ignore[arg-type]
    n = {key: figure(float(value)) for key, value in v._asdict().items()}
    gap, middle = 156.0, 116.0
    nodes = [
        Node("x", n["x"], 4, middle),
        Node("w1", n["w1"], 4 + gap, 4),
        Node("b = w1 x", n["b"], 4 + gap, middle),
        Node("h = tanh b", n["h"], 4 + 2 * gap, middle),
        Node("w2", n["w2"], 4 + 3 * gap, 4),
        Node("a = w2 h", n["a"], 4 + 3 * gap, middle),
        Node("o = tanh a", n["o"], 4 + 4 * gap, middle),
        Node("y", n["y"], 4 + 5 * gap, 4),
        Node("L", figure(float(loss)), 4 + 5 * gap, middle),
    ]
    edges = [
        Edge("x", "b = w1 x", "w1"),
        Edge("w1", "b = w1 x", f"db/dw1 = x\n= {n['x']}"),
        Edge("b = w1 x", "h = tanh b", f"1 − h²\n{figure(float(1 - v.h**2))}"),
        Edge("h = tanh b", "a = w2 h", f"w2\n{n['w2']}"),
        Edge("w2", "a = w2 h", f"da/dw2 = h\n= {n['h']}"),
        Edge("a = w2 h", "o = tanh a", f"1 − o²\n{figure(float(1 - v.o**2))}", shared=True),
        Edge("o = tanh a", "L", f"−(y − o)\n{figure(float(-(v.y - v.o)))}", shared=True),
        Edge("y", "L", ""),
    ]
    notes = [
        f"δ = dL/do · do/da = {figure(delta)}: shared, computed once and used twice",
        f"dL/dw2 = δ · h = {figure(float(dw2))},  dL/dw1 = δ · w2 · (1 − h²) · x = {figure(float(dw1))}",
    ]
    alt = (
        "The computation graph of the neuron: x and w1 give b, tanh gives h, with w2 that gives a, tanh "
        "gives o, and with y that gives the loss L. Marked are the last two local derivatives, whose product "
        f"is δ = {figure(delta)}: the gradients of w1 and of w2 share them."
    )
    words = (
        "Forward goes from left to right. On each edge is its local derivative; a gradient is the product "
    )
    words += "of those on the way back from L."
    caption = "The thick edges are the factor that both gradients share."
    drawn = graph(nodes, edges, alt, notes=notes)
    return Step("The computation graph", words, (Figure("", caption, alt, drawn),))


def _language_model(d: Derived) -> Step:
    """Draw the parts of the language model with the shapes of the point."""
    values = {name: np.asarray(value) for name, value in d.values}
    (v, e), hidden, batch = values["table"].shape, values["w1"].shape[1], values["context"].shape[0]
    words = language_model.CONTEXT
    gap, y = 164.0, 4 + HIGH + 48
    chain = [
        Node("C", f"{v}×{e}", 4, 4),
        Node("c = C[i]", f"{batch}×{words}×{e}", 4, y),
        Node("X", f"{batch}×{words * e}", 4 + gap, y),
        Node("W1", f"{words * e}×{hidden}", 4 + 2 * gap, 4),
        Node("A = X W1", f"{batch}×{hidden}", 4 + 2 * gap, y),
        Node("H = tanh A", f"{batch}×{hidden}", 4 + 3 * gap, y),
        Node("W2", f"{hidden}×{v}", 4 + 4 * gap, 4),
        Node("Z = H W2", f"{batch}×{v}", 4 + 4 * gap, y),
        Node("L", "1", 4 + 5 * gap, y),
    ]
    edges = [
        Edge("C", "c = C[i]", "embedding:\nadds up"),
        Edge("c = C[i]", "X", "reshape"),
        Edge("X", "A = X W1", "dA · W1ᵀ", shared=True),
        Edge("W1", "A = X W1", "Xᵀ · dA"),
        Edge("A = X W1", "H = tanh A", "∘ (1 − H²)", shared=True),
        Edge("H = tanh A", "Z = H W2", "dZ · W2ᵀ", shared=True),
        Edge("W2", "Z = H W2", "Hᵀ · dZ"),
        Edge("Z = H W2", "L", "softmax − t\nover B", shared=True),
    ]
    alt = (
        "The computation graph of the language model: embeddings C are looked up and laid side by side as X; "
        "X W1, tanh, times W2 are the scores Z, whose cross-entropy with the next word is L. Marked is the "
        "way back that all three gradients share in part."
    )
    said = "Each part is a rule with a backward of its own. On each edge is how the gradient goes back along "
    said += "it; the thick way is shared."
    return Step("The parts", said, (Figure("", "", alt, graph(chain, edges, alt)),))
