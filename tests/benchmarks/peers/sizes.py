"""Time, forward calls and memory of each checker as the input grows, on three operations."""

import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from defects import markdown
from peer import NotApplicable

from gradlab import gradcheck

SIZES = (10, 100, 1000, 10**4, 10**5, 10**6)
ENTRIES, DIRECTIONS = "every entry", "directions"
MOST_RUNS, ENOUGH = 7, 0.5  # runs, and seconds of them


def tanh(n, rng):
    """Y = tanh(X)."""
    return np.tanh, lambda dy, x: (dy * (1 - np.tanh(x) ** 2),), [rng.normal(size=n)]


def matmul(n, rng):
    """Y = X W, both square."""
    k = round(np.sqrt(n / 2))
    xs = [rng.normal(size=(k, k)), rng.normal(size=(k, k))]
    return np.matmul, lambda dy, x, w: (dy @ w.T, x.T @ dy), xs


def cross_entropy(n, rng):
    """L = mean (log Σ exp Z − Z[n, t]), ten classes."""
    rows = np.arange(n // 10)
    t = rng.integers(10, size=rows.size)

    def log_softmax(z):
        z = z - z.max(axis=1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    def backward(dl, z):
        dz = np.exp(log_softmax(z))
        dz[rows, t] -= 1
        return (dl * dz / rows.size,)

    return lambda z: -log_softmax(z)[rows, t].mean(), backward, [rng.normal(size=(rows.size, 10))]


OPERATIONS = {"tanh": tanh, "matrix product": matmul, "softmax cross-entropy": cross_entropy}


@dataclass(frozen=True)
class Checker:
    """What is measured.

    Attributes
    ----------
    name : str
        What it is called.
    accepts : callable
        ``accepts(f, b, xs) -> bool``.
    form : callable
        ``form(n)``: how it checks at ``n`` entries, `ENTRIES` or `DIRECTIONS`; empty where it does not.
    traced : bool
        Whether tracemalloc sees what it allocates.
    """

    name: str
    accepts: Callable[..., bool]
    form: Callable[[int], str]
    traced: bool = True


@dataclass(frozen=True)
class Cell:
    """What was measured of one checker at one size.

    Attributes
    ----------
    form : str
        How it checked.
    why : str
        Why there are no numbers; empty where there are.
    seconds : float
        CPU time that it took.
    calls : int
        How often it called the forward function.
    alone : float
        How long as many calls take by themselves.
    peak : float
        Peak memory, over that of inputs and outputs; NaN where it was not measured.
    accepted : bool
        Whether it accepts the right rule that it is shown.
    """

    form: str
    why: str = ""
    seconds: float = np.nan
    calls: int = 0
    alone: float = np.nan
    peak: float = np.nan
    accepted: bool = True


def checkers(peers):
    """Return what is measured, gradlab first."""

    def gradlab(max_calls):
        return lambda f, b, xs: gradcheck(f, b, xs, max_calls=max_calls, raise_exception=False).passed

    def wrapped(peer):
        def accepts(f, b, xs):
            try:
                return peer.check(f, b, xs, np.random.default_rng(0))
            except AssertionError:
                return False

        return accepts

    def always(form):
        return lambda n: form

    forms = {True: always(ENTRIES), False: always(DIRECTIONS)}
    return (
        Checker("gradlab", gradlab(None), lambda n: ENTRIES if n <= 1000 else DIRECTIONS),
        Checker("gradlab, max_calls=64", gradlab(64), lambda n: DIRECTIONS if 100 <= n <= 1000 else ""),
        *(
            Checker(peer.name, wrapped(peer), forms[peer.every_entry], peer.traced)
            for peer in peers
            if not peer.variant
        ),
    )


def measure(peers, limit):
    """Return the cells of each operation, by checker and size; none of them takes much above ``limit``."""
    found = {operation: {} for operation in OPERATIONS}
    for operation, make in OPERATIONS.items():
        for checker in checkers(peers):
            cells = found[operation][checker.name] = {}
            for n in SIZES:
                cells[n] = skipped(checker.form(n), list(cells.values()), limit) or cell(
                    checker, make, n, limit
                )
    return found


def skipped(form, earlier, limit):
    """Return a cell without numbers where the smaller sizes tell that it would take too long."""
    if not form:
        return Cell(form, "-")
    alike = [c for c in earlier if c.form == form]
    if any(c.why for c in alike):
        return Cell(form, alike[-1].why)
    seconds = [c.seconds for c in alike]
    grows = max([10 if form == ENTRIES else 1, *(b / a for a, b in pairwise(seconds[-2:]))])
    return Cell(form, "too slow") if seconds and seconds[-1] * grows > limit else None


def cell(checker, make, n, limit):
    """Measure one checker at one size."""
    f, b, xs = make(n, np.random.default_rng(0))
    calls = 0

    def counted(*values):
        nonlocal calls
        calls += 1
        return f(*values)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            accepted = checker.accepts(counted, b, xs)
        except NotApplicable:
            return Cell(checker.form(n), "too large")
        seconds = fastest(lambda: checker.accepts(f, b, xs))
        peak = np.nan
        if checker.traced and seconds < limit / 10:
            tracemalloc.start()
            checker.accepts(f, b, xs)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    nbytes = sum(x.nbytes for x in xs) + np.asarray(f(*xs)).nbytes
    alone = calls * fastest(lambda: f(*xs))
    return Cell(checker.form(n), "", seconds, calls, alone, peak / nbytes, bool(accepted))


def fastest(function):
    """Return the CPU time of the shortest of some runs: what the machine does beside it only adds."""
    seconds = []
    while len(seconds) < MOST_RUNS and sum(seconds) < ENOUGH:
        started = time.process_time()
        function()
        seconds.append(time.process_time() - started)
    return min(seconds)


def tables(found):
    """Yield the lines of the tables, in Markdown."""
    head = ("checker", *(f"{n:,} entries" for n in SIZES))
    for operation, by_checker in found.items():
        best = {
            (form, n): min(
                (c[n].seconds for name, c in by_checker.items() if is_peer(name) and timed_as(c[n], form)),
                default=np.nan,
            )
            for form in (ENTRIES, DIRECTIONS)
            for n in SIZES
        }
        titles = (
            f"{operation}: CPU time, and how many times that of the fastest peer that checks likewise "
            "(e: every entry, d: directions; !: the right rule is not accepted)",
            f"{operation}: forward calls, and how many times the CPU time of these calls alone",
            f"{operation}: peak memory, in multiples of inputs and outputs",
        )

        def timing(c, n, best=best):
            fastest_peer = best[c.form, n]
            ratio = "" if np.isnan(fastest_peer) else f", {brief(c.seconds / fastest_peer)}×"
            return f"{duration(c.seconds)}{ratio} {c.form[0]}{'' if c.accepted else ' !'}"

        formats = (
            timing,
            lambda c, n: f"{c.calls}, {brief(c.seconds / c.alone)}×",
            lambda c, n: "" if np.isnan(c.peak) else brief(c.peak),
        )
        for title, write in zip(titles, formats, strict=True):
            yield f"{title}\n"
            yield from markdown(
                head,
                (
                    (name, *(c.why or write(c, n) for n, c in cells.items()))
                    for name, cells in by_checker.items()
                ),
            )
            yield ""


def is_peer(name):
    """Whether a checker is not gradlab itself."""
    return not name.startswith("gradlab")


def timed_as(measured, form):
    """Whether a cell has numbers of this form."""
    return measured.form == form and not measured.why


def brief(ratio):
    """Return a ratio with as many digits as it is worth.

    >>> brief(1.04), brief(131.2)
    ('1.0', '131')
    """
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def duration(seconds):
    """Return a time in the unit that suits it.

    >>> duration(0.01234), duration(12.34)
    ('12.3 ms', '12.3 s')
    """
    for unit, size in (("s", 1), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.0f} µs"
