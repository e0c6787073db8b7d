"""How wide an error bar may be for a row to be decided, in the order in which it is.

With the error bar ``b``, the ``size`` of both sides and their ``gap``; entries that move by themselves are
*single*. Both sides *agree* as `Criteria.agrees_to_rtol` says after one difference or two, and later as long
as `Criteria.differs` does not say that they differ, so that ``b`` counts for the claim:

=======================  ============================================  ====================================
after                    right, where both sides agree, and ``b`` is   a suspect, where they differ, and
                         at most                                       ``b`` is at most
=======================  ============================================  ====================================
one difference           `SHARP` rtol · size; if not single, `BLUNT`   none: truncation is not in it
                         · size, if that is more
two differences          the same                                      none
steps of a ladder        `LADDER` rtol · size                          `SHOWN_EARLY` · gap; if not single,
                                                                       `SHOWN` · gap
the end of a ladder      `COARSE` · size; where shorter steps          `SHOWN` · gap
                         contradict the claim, `BLUNT` · size, and
                         none if not single
shorter steps            `COARSE` · size                               `DISCERNING` · gap
longer steps             `COARSE` · size                               none: what is bounded hardly rises
a second ladder          `COARSE` · size                               `DISCERNING` · gap: it is wrong
=======================  ============================================  ====================================

A suspect is wrong if nothing spares it besides (`suspects`). Where nothing else is seen of an input, a row is
right if ``b`` is at most 1 / `CERTAIN` of its size. Where ``rtol`` is more than `COARSE`, it takes its place.
"""

from __future__ import annotations

SHARP = 5  # times rtol: an error bar that is wider is worth more calls
BLUNT = 1e-3  # of the size: along many entries it is enough, where a part of one hides in rtol of all
LADDER = 0.1  # of rtol
COARSE = 0.1  # of the size: a wider error bar tells nothing, unless rtol is wider still
# A hundredth shows a disagreement; as long as steps are left, more is asked, for the report states the value.
SHOWN, SHOWN_EARLY = 1e-2, 1e-9
DISCERNING = 0.3  # of a disagreement: an error bar that is narrower tells which side is right
CERTAIN = 4  # error bars, of a ladder, by which a claim has to change to be noticed for certain, or be at all
UNMEASURED = 8  # times rounding: what the noise of forward may turn out to be, once it is measured
TRUNCATION = 1e-3  # of the size: a first difference that is further off shows something else
