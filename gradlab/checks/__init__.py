"""The checks: each takes a problem and says what it found.

What `one_point.run_checks` asks, after ``maps`` called backward at the point, in the order in which it does.
A rule that is right where forward is smooth goes no further than *first differences*.

::

    contract ── answers            called again: nothing written to, the same answer, linear in the argument;
                                   compared at the end, when the rounding at the point is known
    plan ── directions             along which directions: every entry, or random ones of similar influence
    claims, tangent_claims         what backward, or jvp, says along them, and what that may be rounded by
    probing                        the judge asked along all of them; the result of each input
      judge ── criteria              when a row is right, wrong or too small to matter
        rows                           first differences
        judge_kinks ── kinks           at a kink: what lies between the slopes of both sides is right
        ladders                        what is open: Richardson extrapolation, to the end of resolution
        suspects                       what looks wrong: from close by, and along a second ladder
      probes ── resolution           the rows of one input, and what would have been caught there
      joint_kinks                    entries at kinks, moved together
    transpose                      backward beside jvp
    findings                       what is wrong, with the numbers of both sides

What is wrong is then located (``locate ── regions``) and explained (``causes``): by ``hypotheses`` about a
factor (``factors``) or missing terms (``terms``), tested against ``evidence`` at the point and ``nearby``;
else by what the wrong entries have in common (``descriptions ── partial``). ``reference`` takes the place of
differences; ``jacobian`` is a second witness. ``steps`` is for layers.

A Jacobian, as SciPy takes it, answers for every output by itself: ``claimed_jacobian`` reads it,
``sparsity`` says which unknowns move together, ``columns`` judges it (``watched`` keeps what it looks at),
``entries`` finds out which are wrong. ``sparse_jacobian`` builds one.
"""
