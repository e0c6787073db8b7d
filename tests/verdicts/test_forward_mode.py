"""Forward mode: right jvps pass, wrong ones fail, and the report names outputs, entries and the reason."""

import numpy as np
import pytest

from gradlab import Rule, UsageError, Verdict, gradcheck, verify

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 2))


def layer(x, w):
    return np.tanh(x @ w)


def backward(dy, x, w):
    da = dy * (1 - layer(x, w) ** 2)
    return da @ w.T, x.T @ da


def jvp(tangents, x, w):
    x_dot, w_dot = tangents
    return (1 - layer(x, w) ** 2) * (x_dot @ w + x @ w_dot)


def check(jvp, forward=layer, backward=None, inputs=(X, W), **options):
    return gradcheck(forward, backward, inputs, jvp=jvp, raise_exception=False, **options)


def kinds(report):
    return [finding.kind for finding in report.findings]


def changed_at(*index, factor=1.001):
    """Return the jvp with some entries of the tangent of the output changed."""

    def wrong(tangents, x, w):
        y_dot = jvp(tangents, x, w)
        y_dot[index] *= factor
        return y_dot

    return wrong


class TestForms:
    def test_jvp_alone(self):
        report = check(jvp)
        assert report.passed
        assert (report.backward_calls, report.jvp_calls > 18) == (0, True)

    def test_jvp_beside_backward_takes_no_further_differences(self):
        both, alone = check(jvp, backward=backward), check(jvp)
        assert both.passed
        assert both.forward_calls == alone.forward_calls

    def test_tangents_have_the_form_of_the_inputs(self):
        def forward(x, p, power):
            return (x @ p["W"] + p["b"]) ** power, x.sum()

        def push(tangents, x, p, power):
            x_dot, p_dot, power_dot = tangents
            assert power_dot is None
            assert set(p_dot) == {"W", "b", "name"}
            assert p_dot["name"] is None
            inner = x @ p["W"] + p["b"]
            outer = power * inner ** (power - 1)
            return outer * (x_dot @ p["W"] + x @ p_dot["W"] + p_dot["b"]), x_dot.sum()

        inputs = X, {"W": W, "b": np.ones(2), "name": "layer"}, 3
        assert check(push, forward, inputs=inputs).passed
        wrong = check(lambda t, *i: (push(t, *i)[0], 2 * push(t, *i)[1]), forward, inputs=inputs)
        assert [f.input for f in wrong.findings] == ["x"]
        assert "tangent of output 1 is wrong" in wrong.reason

    def test_single_input_gets_a_bare_tangent(self):
        for inputs in (X, (X,)):
            assert check(lambda x_dot, x: np.cos(x) * x_dot, np.sin, inputs=inputs).passed

    def test_inputs_by_keyword_get_tangents_by_name(self):
        push = lambda tangents, x, w: jvp((tangents["x"], tangents["w"]), x, w)  # noqa: E731
        assert check(push, inputs={"x": X, "w": W}).passed

    def test_python_float_gets_a_python_float(self):
        def push(tangents, x, s):
            assert type(tangents[1]) is float
            return tangents[0] * s + x * tangents[1]

        assert check(push, lambda x, s: x * s, inputs=(X, 2.0)).passed

    def test_input_that_wrt_leaves_out_does_not_move(self):
        seen = []

        def push(tangents, x, w):
            seen.append(float(np.abs(tangents[0]).max()))
            return jvp(tangents, x, w)

        assert check(push, wrt="w").passed
        assert set(seen) == {0.0}

    def test_cached_jvp_takes_the_cache(self):
        def forward(x, w):
            return layer(x, w), (x, w)

        assert check(lambda t, cache: jvp(t, *cache), forward, cached=True).passed
        assert check(lambda t, cache: 2 * jvp(t, *cache), forward, cached=True).failed

    def test_neither_backward_nor_jvp(self):
        with pytest.raises(UsageError, match=r"backward is None; expected a function \(or jvp="):
            gradcheck(layer, None, (X, W))

    def test_jvp_that_is_no_function(self):
        with pytest.raises(UsageError, match="jvp is the int 3; expected a function"):
            gradcheck(layer, backward, (X, W), jvp=3)


class TestWrongNumbers:
    @pytest.mark.parametrize(
        "wrong",
        [
            lambda t, x, w: jvp((t[0], 0 * t[1]), x, w),
            lambda t, x, w: -jvp(t, x, w),
            lambda t, x, w: 1.0001 * jvp(t, x, w),
            changed_at(slice(1, None), factor=0),
            changed_at(2, 1),
        ],
        ids=["missing term", "sign", "factor", "one row only", "one output"],
    )
    def test_wrong_jvp_fails_with_and_without_backward(self, wrong):
        assert set(kinds(check(wrong))) == {"wrong-jvp"}
        both = check(wrong, backward=backward)
        assert kinds(both)[0] == "wrong-jvp"
        assert "wrong-gradient" not in kinds(both)

    def test_wrong_outputs_and_entries_are_named(self):
        report = check(changed_at(2, 1))
        assert [f.input for f in report.findings] == ["x", "w"]
        assert "tangent of output[2, -1] is wrong along 3 of 12 entries of x" in report.reason
        assert report.inputs[0].wrong_entries == ((2, 0), (2, 1), (2, 2))
        assert report.inputs[0].where == "x[2, :]"
        assert (report.worst.role, report.worst.output) == ("jvp", "output[2, 1]")

    def test_tiny_output_beside_a_large_one_is_compared_by_itself(self):
        def forward(x):
            return np.sum(x**2), 1e-9 * np.sin(x)

        right = check(lambda t, x: (2 * x @ t, 1e-9 * np.cos(x) * t), forward, inputs=X[0])
        wrong = check(lambda t, x: (2 * x @ t, 1.01e-9 * np.cos(x) * t), forward, inputs=X[0])
        assert right.passed
        assert "tangent of output 1 is wrong" in wrong.reason

    def test_report_says_what_jvp_gives(self):
        text = str(check(lambda t, x, w: 2 * jvp(t, x, w)))
        assert "output[0, 0]: jvp " in text
        assert "jvp gives" in text

    def test_snippet_repeats_the_check(self):
        report = gradcheck(np.sin, None, X[0], jvp=np.multiply, raise_exception=False)
        scope = {}
        call = report.snippet.replace("rng=0)", "rng=0, raise_exception=False)").splitlines()
        exec("\n".join([*call[:-1], f"report = {call[-1]}"]), scope)
        assert scope["report"] == report


class TestTranspose:
    """With backward too, the dot-product test says that one is wrong, and the differences which."""

    @pytest.mark.parametrize(
        ("wrong_backward", "wrong_jvp", "said"),
        [(1.0, 2.0, "contradict jvp"), (2.0, 1.0, "contradict backward"), (3.0, 2.0, "backward and jvp")],
    )
    def test_says_which_is_wrong(self, wrong_backward, wrong_jvp, said):
        report = check(
            lambda t, x, w: wrong_jvp * jvp(t, x, w),
            backward=lambda dy, x, w: tuple(wrong_backward * g for g in backward(dy, x, w)),
        )
        (finding,) = [f for f in report.findings if f.check == "transpose"]
        assert finding.kind == "jvp-is-no-transpose"
        assert said in finding.message

    def test_both_wrong_in_the_same_way_are_transposes(self):
        twice = check(
            lambda t, x, w: 2 * jvp(t, x, w),
            backward=lambda dy, x, w: tuple(2 * g for g in backward(dy, x, w)),
        )
        assert set(kinds(twice)) == {"wrong-gradient", "wrong-jvp"}

    def test_input_that_both_have_right_is_right(self):
        report = check(lambda t, x, w: jvp((t[0], 0 * t[1]), x, w), backward=backward)
        assert [result.verdict for result in report.inputs] == [Verdict.PASS, Verdict.FAIL]

    def test_two_slopes_at_a_kink_are_no_defect_but_a_note(self):
        def relu(x):
            return np.maximum(x, 0)

        x = np.array([0.0, 1.0, -2.0])
        same = check(lambda t, x: (x > 0) * t, relu, lambda dy, x: (x > 0) * dy, x)
        other = check(lambda t, x: (x >= 0) * t, relu, lambda dy, x: (x > 0) * dy, x)
        wrong = check(lambda t, x: 2 * (x >= 0) * t, relu, lambda dy, x: (x > 0) * dy, x)
        assert same.passed
        assert not any("transpose" in note for note in same.notes)
        assert other.passed
        assert any("not each other's transpose" in note for note in other.notes)
        assert wrong.failed


class TestKinksAndPrecision:
    def test_slope_inside_the_kink_passes_and_outside_fails(self):
        x = np.array([0.0, 1.0, -1.0, 1e-9])
        for slope, passes in ((0.0, True), (0.5, True), (1.0, True), (1.2, False), (-0.1, False)):
            report = check(lambda t, x, s=slope: np.where(x == 0, s, x > 0) * t, np.abs, None, x)
            assert not report.passed  # that of a ReLU is not that of an absolute value
            report = check(
                lambda t, x, s=slope: np.where(x == 0, s, x > 0) * t, lambda x: np.maximum(x, 0), None, x
            )
            assert report.passed == passes

    def test_tied_maximum_may_be_shared_but_not_counted_twice(self):
        x = np.array([1.0, 1.0, 0.5])
        assert check(lambda t, x: t[x == x.max()].mean(), np.max, inputs=x).passed
        assert check(lambda t, x: t[x == x.max()].sum(), np.max, inputs=x).failed

    @pytest.mark.parametrize("dtype", ["float32", "float16"])
    def test_narrow_dtypes(self, dtype):
        inputs = X.astype(dtype), W.astype(dtype)
        assert check(jvp, backward=backward, inputs=inputs).passed
        assert check(lambda t, x, w: x.dtype.type(1.5) * jvp(t, x, w), inputs=inputs).failed

    def test_tangent_in_the_dtype_of_the_input(self):
        def push(t, x):
            assert t.dtype == x.dtype == np.float32
            return np.cos(x) * t

        assert check(push, np.sin, inputs=X.astype(np.float32)).passed

    def test_digits_that_are_lost_are_called_so(self):
        def forward(x):
            return x - np.sin(x)

        x = np.array([1e-3, 2e-3], dtype=np.float32)
        report = check(lambda t, x: (1 - np.cos(x)) * t, forward, inputs=x)
        assert check(lambda t, x: 2 * np.sin(x / 2) ** 2 * t, forward, inputs=x).passed
        assert report.failed
        assert "jvp-precision" in kinds(report)

    def test_outputs_that_are_not_finite_are_left_out(self):
        x = np.array([1.0, 0.0, 2.0])
        with np.errstate(all="ignore"):
            assert check(lambda t, x: -t / x**2, lambda x: 1 / x, inputs=x).passed
            assert check(lambda t, x: t / x**2, lambda x: 1 / x, inputs=x).failed

    def test_tangent_that_is_zero_where_forward_does_not_move(self):
        assert check(lambda t, x: t * 0, lambda x: x - x, inputs=X).passed
        assert check(lambda t, x: t, lambda x: x - x, inputs=X).failed


class TestLarge:
    X, W = RNG.normal(size=(60, 40)), RNG.normal(size=(40, 5)) / 6

    def test_calls_do_not_grow_with_the_size(self):
        x = RNG.normal(size=20_000)
        report = check(lambda t, x: (1 - np.tanh(x) ** 2) * t, np.tanh, inputs=x)
        assert report.passed
        assert report.forward_calls <= 32

    def test_one_wrong_entry_of_the_input_is_named(self):
        def wrong(t, x, w):
            x_dot = t[0].copy()
            x_dot[17, 33] *= 1.5
            return jvp((x_dot, t[1]), x, w)

        for both in (None, backward):
            report = check(wrong, backward=both, inputs=(self.X, self.W))
            assert report.inputs[0].wrong_entries == ((17, 33),)
            assert "output[17, :]" in report.reason

    def test_resolution_is_that_of_one_entry_though_only_sums_are_known(self):
        x = RNG.choice([-1.0, 1.0], size=2000)

        def total(x):
            return np.sin(x).sum()

        for seed in range(12):
            right = check(lambda t, x: np.cos(x) @ t, total, inputs=x, rng=seed)
            change = 4 * right.inputs[0].resolution

            def wrong(t, x, change=change):
                t = t.copy()
                t[7] *= 1 + change
                return np.cos(x) @ t

            assert change < 0.1
            assert check(wrong, total, inputs=x, rng=seed).failed

    def test_one_wrong_output_is_named(self):
        x = RNG.normal(size=5000)

        def wrong(t, x):
            y_dot = (1 - np.tanh(x) ** 2) * t
            y_dot[777] *= 2
            return y_dot

        report = check(wrong, np.tanh, inputs=x)
        assert "output[777]" in report.reason
        assert report.inputs[0].wrong_entries == ((777,),)


class TestCauses:
    MIX = RNG.normal(size=(3, 3))

    def codes(self, jvp, forward, inputs=X[0], **options):
        return [cause.code for cause in check(jvp, forward, inputs=inputs, **options).causes]

    def mixed(self, x):
        return self.MIX @ np.sin(x)

    def test_transposed_jacobian(self):
        wrong = lambda t, x: np.cos(x) * (self.MIX.T @ t)  # noqa: E731
        assert self.codes(wrong, self.mixed) == ["transposed-jacobian"]

    def test_transposed_jacobian_of_a_backward_rule(self):
        report = gradcheck(self.mixed, lambda dy, x: self.MIX @ (np.cos(x) * dy), X[0], raise_exception=False)
        assert [cause.code for cause in report.causes] == ["transposed-jacobian"]

    def test_sign_factor_and_nothing(self):
        right = lambda t, x: self.MIX @ (np.cos(x) * t)  # noqa: E731
        assert self.codes(lambda t, x: -right(t, x), self.mixed) == ["sign"]
        assert self.codes(lambda t, x: 3 * right(t, x), self.mixed) == ["factor"]
        assert self.codes(right, self.mixed) == []
        assert self.codes(lambda t, x: self.MIX @ t, self.mixed) == []  # no cause rather than a false one

    def test_tangent_that_does_not_enter(self):
        assert self.codes(lambda t, x: np.cos(x), np.sin) == ["ignores-tangents"]

    def test_causes_speak_of_jvp(self):
        report = check(lambda t, x, w: jvp((t[0], -t[1]), x, w))
        assert report.causes[0].message == "jvp along w has the opposite sign: negate it"


class TestVerify:
    def test_rule_with_jvp_alone(self):
        rule = Rule("layer", layer, None, "(n,d),(d,m)", jvp=jvp)
        assert verify(rule, max_examples=20)

    def test_defect_of_jvp_is_shrunk(self):
        wrong = lambda t, x, w: jvp((t[0], 0 * t[1]), x, w)  # noqa: E731
        report = verify(Rule("layer", layer, backward, "(n,d),(d,m)", jvp=wrong), raise_exception=False)
        assert report.findings[0].kind == "wrong-jvp"
        assert "jvp=" in report.call

    def test_rule_without_either(self):
        with pytest.raises(UsageError, match="backward is None; expected a function"):
            Rule("layer", layer, None, "(n)")

    def test_closed_form_jacobian_is_checked_without_backward(self):
        def rule(slope):
            return Rule(
                "sin",
                np.sin,
                None,
                (X[0],),
                jvp=lambda t, x: np.cos(x) * t,
                jacobian=lambda x: (np.diag(slope(x)),),
            )

        assert verify(rule(np.cos)).passed
        assert verify(rule(np.sin), raise_exception=False).findings[0].kind == "closed-form-jacobian"


def power(x):
    return x**1.5


def power_jvp(t, x):
    return 1.5 * np.sqrt(x) * t


class TestBounds:
    POINT = np.array([0.0, 1e-4, 0.5, 2.0, 3.0])
    LOW, HIGH = 0, np.array([4.0, 4.0, 4.0, 2.0, 3.0])

    def check(self, jvp, forward=power, backward=None):
        return check(jvp, forward, backward, self.POINT, bounds=(self.LOW, self.HIGH))

    def test_right_jvp_at_bounds(self):
        assert self.check(power_jvp).passed
        assert self.check(power_jvp, backward=power_jvp).passed

    def test_never_called_outside(self):
        seen = []

        def watched(x):
            seen.append(x.copy())
            return x**1.5

        assert self.check(power_jvp, watched).passed
        assert all((x >= self.LOW).all() and (x <= self.HIGH).all() for x in seen)

    @pytest.mark.parametrize("entry", range(5))
    def test_wrong_at_one_entry(self, entry):
        # At a bound too; at zero, the tangent is zero, and what is added is not.
        def wrong(t, x):
            return power_jvp(t, x) + 0.01 * t * (np.arange(5) == entry)

        report = self.check(wrong)
        assert kinds(report) == ["wrong-jvp"]
        assert report.inputs[0].wrong_entries == ((entry,),)

    def test_entry_with_equal_bounds_is_a_constant(self):
        high = np.array([4.0, 4.0, 0.5, 2.0, 3.0])
        low = np.array([0.0, 0.0, 0.5, 0.0, 0.0])
        wrong_there = lambda t, x: power_jvp(t, x) * np.where(np.arange(5) == 2, 3, 1)  # noqa: E731
        assert check(wrong_there, power, inputs=self.POINT, bounds=(low, high)).passed

    def test_large_input(self):
        x = np.concatenate([np.zeros(1000), RNG.uniform(0, 2, 1000)])
        options = {"inputs": x, "bounds": (0, 2)}
        assert check(power_jvp, power, **options).passed
        report = check(lambda t, x: power_jvp(t, x) * np.where(x == x.max(), 1.5, 1), power, **options)
        assert kinds(report) == ["wrong-jvp"]


class TestWhatIsNotYetTakenTogether:
    def test_complex_numbers(self):
        message = "jvp is given where numbers are complex; expected real inputs and outputs"
        z = np.array([1 + 2j])
        with pytest.raises(UsageError, match=message):
            check(lambda t, z: 2 * z * t, lambda z: z * z, inputs=z)
        with pytest.raises(UsageError, match=message):
            check(lambda t, x: 1j * t, lambda x: 1j * x, inputs=X)

    @pytest.mark.parametrize(
        ("option", "value"),
        [("reference", (layer, backward)), ("tangents", {"x": lambda x, d: d})],
    )
    def test_reference_and_tangents(self, option, value):
        with pytest.raises(UsageError, match=f"{option} is given beside jvp"):
            check(jvp, backward=backward, **{option: value})

    def test_reference_without_backward(self):
        alone = Rule("layer", layer, None, (X, W), jvp=jvp)
        with pytest.raises(UsageError, match=r"reference is Rule\('layer'\), which has no backward"):
            gradcheck(layer, backward, (X, W), reference=alone)


class TestNarrowDtypes:
    def test_bfloat16(self):
        bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
        x = RNG.uniform(0.5, 2, 5).astype(bfloat16)
        right = lambda t, x: (np.cos(np.float32(x)) * np.float32(t)).astype(bfloat16)  # noqa: E731
        sine = lambda x: np.sin(np.float32(x)).astype(x.dtype)  # noqa: E731
        assert not check(right, sine, inputs=x).failed
        assert check(lambda t, x: -right(t, x), sine, inputs=x).failed
        widened = lambda x: np.sin(np.asarray(x, dtype=np.float32))  # noqa: E731
        report = check(right, widened, inputs=x)
        assert kinds(report) == ["tangent-dtype"]
