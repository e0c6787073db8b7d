"""A training of the language model as a page: how the loss falls, the checks, and what was learnt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradlab.networks.corpus import Corpus
from gradlab.report import Report
from gradlab.reporters import wording
from gradlab.reporters.drawings.canvas import Axis, frame, label, line, polyline, svg
from gradlab.reporters.page import rendered

WIDTH, HEIGHT = 480.0, 290.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 16.0, 26.0, 40.0


def page_of_training(
    corpus: Corpus, losses: Sequence[float], checks: Sequence[Report], learnt: Sequence[str], *, seed: int
) -> str:
    """Return the page of a training."""
    from markupsafe import Markup

    uniform, unigram = corpus.uniform_loss(), corpus.unigram_loss()
    last = float(np.mean(losses[-smoothing(len(losses)) :]))
    said = (
        f"the loss falls from {losses[0]:.3f} to {last:.3f} in {len(losses)} steps; a uniform guess has "
        f"{uniform:.3f}, a guess by each word's frequency {unigram:.3f}"
    )
    alt = f"Loss against step: {said}."
    return rendered(
        "trained.html.j2",
        title=f"language model: loss {last:.3f} - gradlab",
        said=f"{said[0].upper()}{said[1:]}.",
        meta=f"{len(corpus.words)} words, a vocabulary of {len(corpus.vocabulary)} · seed {seed}",
        curve=Markup(loss_curve(losses, alt, uniform=uniform, unigram=unigram)),
        checks=[
            (wording.clean(c.name), str(c.verdict), wording.headline(c).partition(": ")[2]) for c in checks
        ],
        learnt=[wording.clean(text).partition(": ")[::2] for text in learnt],
    )


def loss_curve(losses: Sequence[float], alt: str, *, uniform: float, unigram: float) -> str:
    """Return the loss of every step and its moving mean, on an axis that is cut off where it falls to."""
    window = smoothing(len(losses))
    mean = moving_mean(losses, window)
    low, high = min(*losses, unigram), max(*losses, uniform)
    room = 0.06 * (high - low) or 1.0
    x = Axis(1.0, max(2.0, float(len(losses))), LEFT, WIDTH - RIGHT)
    y = Axis(low - room, high + room, HEIGHT - BOTTOM, TOP)
    parts = [frame(x, y, "step", "loss")]
    for level, what in ((uniform, "a uniform guess"), (unigram, "a guess by frequency")):
        parts.append(line(x.start, y.at(level), x.end, y.at(level), "axis dot"))
        parts.append(label(x.end - 2, y.at(level) - 4, what, "muted end"))
    faint = polyline([(x.at(k), y.at(loss)) for k, loss in enumerate(losses, start=1)], "fwd", 0.7)
    parts.append(faint.replace("<path", '<path opacity="0.45"', 1))
    parts.append(polyline([(x.at(window + k), y.at(m)) for k, m in enumerate(mean)], "clm-solid", 2.2))
    return svg(WIDTH, HEIGHT, alt, *parts)


def smoothing(steps: int) -> int:
    """Return over how many steps a loss curve is averaged."""
    return max(1, steps // 20)


def moving_mean(losses: Sequence[float], window: int) -> np.ndarray:
    """Return the means of ``window`` losses in a row; the first is that of the first ``window``."""
    total = np.cumsum([0.0, *losses])
    return np.asarray((total[window:] - total[:-window]) / window)
