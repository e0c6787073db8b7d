"""The checks: each takes a problem and says what it found.

The route of a right rule with three entries, where forward is smooth; a reader who follows it has read what
most calls do, and needs nothing else of ``judge``, and of ``criteria`` and ``numerics.table`` only what these
functions call. Beside each stands its module, of this package unless another is named. The page ``engine`` of
``gradlab docs`` goes the same way by hand, with numbers: whoever has read it can leave out all but the bodies
of the functions that are marked. Left out are helpers that do nothing here. A *direction* in the inputs is a
*row* of a `Table` and a *probe* of an input, three words for one thing.

::

    gradcheck                           gradlab._gradcheck
      check_point                       gradlab._question
        Problem(...)                    gradlab.point.problem   calls forward, and draws the upstream gradient
        FirstAnswer.ask                 maps                    calls backward
        run_checks                      one_point
          call_again                    contract                forward with strided copies, and at another
                                                                point; backward twice: linear, so far
          _compare_with_differences     one_point
            claims_of                   claims                  what backward says
            plan                        plan                    along which directions: here every entry,
                                                                by its scale (Directions.of, Problem.reach)
            probe                       probing                 what becomes of the rows of each input
              judge                   * judge
                first_differences       rows                    the claim c along each direction
                                                                (Claims.along, Directions.terms), beside the
                                                                value v (Table.central) and its error bar
                  Table.take            numerics.table          at x ± 2⁻¹³ of the scale of each entry: its
                                                                size, or a tenth of the root mean square of
                                                                all
                    changes             directions              f(x + h d) − f(x), by Directions.evaluator;
                                                                forward is called in gradlab.point.evaluation
                  Table.rounding        numerics.table          the error bar
                Criteria.accept       * criteria                what agrees is right; afterwards its bar
                                                                becomes 8 times as wide, or |c − v| if that is
                                                                more
                  agrees_to_rtol      * criteria                |c − v| ≤ tolerance, rtol of their size (and
                                                                atol), with a bar of at most 5 rtol
                                                                of it (widest_bar)
                  settle              * criteria                right: it agrees; the largest influence is
                                                                taken from it (learn)
                look_for_kinks          judge_kinks             sees none: half of the jump between both
                                                                slopes is less than a hundredth of them
              Noticed.of                resolution              which change of a claim would have been caught
              tell_resolution           resolution              and that of an entry
          _breaches                     one_point               what call_again left to be compared, by
                                                                breaches.compare_answers: nothing
          _wrong_findings               one_point               none, for no row is wrong
                                                                (findings.wrong_gradients)
        assemble                        gradlab._assemble       pass: nothing was found, and no row is open
      answered                          gradlab._question       returns the report, or raises what it says

    altogether 1 + 2 + 2·3 calls of forward, and 1 + 2 of backward, where none is so small
    beside others, or so large, that truncation is more than rtol

Of a row that is wrong, where forward is smooth, ``judge`` goes on. After the first `_decide` no row is open:
what follows in `refine` is skipped, and ``open_high_stairs`` opens none.

::

    judge                         * judge
      _without_truncation           judge               a second, longer difference, where that may explain it
      refine                      * judge
        _take_a_long_step           judge               the first step of the ladder: outputs that it does not
                                                        move add less rounding at shorter steps; that may be
                                                        enough
        measure_noise               criteria            Problem.noise: what forward's values are off by
        settle_on_stairs            stairs              not all of its outputs are staircases on purpose
        _decide                   * judge
          descend                 * ladders             the ladder, of two more steps here (numerics.ladder)
            _sort_out             * ladders             a suspect: it differs by far more than its error
                                                        bar, 1e9 times at each step, 100 times at the end
              Criteria.differs    * criteria            |c − v| > b + rtol · size + atol · scale + roundings
            _settle_at_the_end      ladders             nothing is left: ours is a suspect
          try_suspects            * suspects
            find_stairs             stairs              sees none
            _look_closer            suspects            a look from close by (kinks.slopes_at) says the same
            _confirm              * suspects
              _second_ladder      * suspects            a second ladder says so, too; how far it is from the
                                                        first joins the error bar, if they contradict
              allow_for_rounding    suspects            what backward scatters by at 16 points beside this one
                                                        does not explain it
              _are_supported        suspects            no: nothing from closer by agrees with the claim
              cannot_be_called_wrong scattering         no: forward neither rests nor scatters close by
              find_imprecise        precision           nothing, in float64
        open_high_stairs            scattering          opens none
      _on_own_scale                 judge               the same on the scale |x|, where that is smaller: what
                                                        is known better counts
    probe                           probing             goes on: tell_resolution, as above
    run_checks                      one_point           goes on: _breaches, as above
      _wrong_findings               one_point           a finding: what is said of it
                                                        (findings.wrong_gradients)
      _explain                      one_point           where (locate.locate), and why (causes.find_causes)
    assemble                        gradlab._assemble   fail, for there is a finding

What contains what: `Directions` → `Table` (the differences along them) → `Rows` (the claim beside each, and
what became of it) → `Probes` (the rows of one input) → `Compared` (all of backward, or of jvp) → `Found`.
What becomes of a row is written by ``criteria``, ``judge``, ``judge_kinks``, ``ladders``, ``suspects`` and
``vanishing``, and beside a reference by ``reference``.

What `one_point.run_checks` asks, after ``maps`` called backward at the point, in the order in which it does.

::

    contract ── answers, breaches  called again: nothing written to, the same answer, linear in the argument;
                                   compared at the end, when the rounding at the point is known
    claims, tangent_claims         what backward, or jvp, says along directions, and how far that is rounded;
                                   ``claimed`` is what both are
    plan ── directions             along which directions: every entry, or random ones
         ── strata ── stratum      of those in large inputs: entries of similar influence
    probing                        the judge asked along all of them; the result of each input
      judge ── criteria ── widths    when a row is right, wrong or too small to matter
        rows                           first differences
        judge_kinks ── kinks           at a kink: what lies between the slopes of both sides is right
        ladders ── further             what is open: Richardson extrapolation, to the end of resolution
         ── short_differences          as far as nothing from closer by contradicts it
        suspects ── precision          what looks wrong: from close by, and along a second ladder
        stairs ── leaps                what is rounded on the way, and hides the slope
        scattering                     what scatters by more than rounding: neither right nor wrong
      vanishing                      an input of which nothing was seen: zero, or too small to tell
      probes ── resolution           the rows of one input, and what would have been caught there
      joint_kinks                    entries at kinks, moved together
    transpose                      backward beside jvp
    findings                       what is wrong, with the numbers of both sides
    found                          all of that, for the report

What is wrong is then located (``locate ── regions``) and explained (``causes``): by ``hypotheses`` about a
factor (``factors``) or missing terms (``terms``), tested against ``evidence`` at the point and ``nearby``;
else by what the wrong entries have in common (``descriptions ── partial``). ``reference`` takes the place of
differences; ``jacobian`` is a second witness. ``steps`` is for layers.

A Jacobian, as SciPy takes it, answers for every output by itself: ``claimed_jacobian`` reads it,
``sparsity`` says which unknowns move together, ``columns`` judges its ``pairs`` of a direction and an output
by the same ``criteria`` (``watched`` keeps what it looks at), and what looks wrong by the same ``judge``, for
which ``jacobian_claims`` says what is claimed; ``entries`` finds out which are wrong. ``sparse_jacobian``
builds one.
"""
