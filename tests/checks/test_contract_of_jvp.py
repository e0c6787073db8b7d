"""How a jvp behaves when it is called: the same contract as backward's, for tangents."""

import numpy as np
import pytest

from gradlab import gradcheck

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
W = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.75]])


def product(x, w):
    return x @ w


def jvp(tangents, x, w):
    return tangents[0] @ w + x @ tangents[1]


def findings(jvp, forward=product, inputs=(X, W), **options):
    report = gradcheck(forward, None, inputs, jvp=jvp, raise_exception=False, **options)
    return {finding.kind: finding.message for finding in report.findings}


def test_right_jvps_have_no_finding():
    assert findings(jvp) == {}
    assert findings(lambda t, x: t, lambda x: x, X) == {}  # it may return its argument
    assert findings(lambda t, x: np.zeros(2), lambda x: np.ones(2), X) == {}


def test_jvp_may_take_its_tangents_out_of_their_container():
    def taking(tangents, x, w):
        return tangents.pop("x") @ w + x @ tangents.pop("w")

    def from_a_tree(tangents, p):
        return taking(tangents, p["x"], p["w"])

    assert findings(taking, inputs={"x": X, "w": W}) == {}
    assert findings(from_a_tree, lambda p: p["x"] @ p["w"], ({"x": X, "w": W},)) == {}


class TestMutation:
    def test_jvp_that_writes_to_its_tangents(self):
        def wrong(tangents, x, w):
            y_dot = jvp(tangents, x, w)
            tangents[1][...] = 0
            return y_dot

        assert findings(wrong) == {"mutates-tangents": "jvp writes to tangents, its argument"}

    def test_jvp_that_writes_to_an_input(self):
        def wrong(tangents, x, w):
            y_dot = jvp(tangents, x, w)
            w *= 2
            return y_dot

        assert findings(wrong)["mutates-input"] == "jvp writes to w, which it was given"

    def test_jvp_that_writes_to_its_cache(self):
        def wrong(t, cache):
            cache["slope"] *= t
            return cache["slope"].copy()

        found = findings(wrong, lambda x: (np.sin(x), {"slope": np.cos(x)}), X, cached=True)
        assert "jvp writes to its cache" in found["mutates-input"]


class TestTheSameAnswer:
    def test_jvp_that_depends_on_the_last_forward(self):
        class Layer:
            def forward(self, x):
                self.y = np.tanh(x)
                return self.y

            def jvp(self, t, x):
                return (1 - self.y**2) * t

        layer = Layer()
        found = findings(layer.jvp, layer.forward, X)
        assert "jvp depends on the last call of forward" in found["cache-overwritten"]
        assert findings(lambda t, x: (1 - np.tanh(x) ** 2) * t, layer.forward, X) == {}

    def test_cache_that_the_next_forward_overwrites(self):
        buffer = np.empty_like(X)

        def forward(x):
            buffer[...] = np.cos(x)
            return np.sin(x), buffer

        assert "cache-overwritten" in findings(lambda t, slope: slope * t, forward, X, cached=True)
        assert findings(lambda t, slope: slope * t, lambda x: (np.sin(x), np.cos(x)), X, cached=True) == {}

    def test_jvp_that_draws(self):
        rng = np.random.default_rng(0)
        found = findings(lambda t, x: np.cos(x) * t * rng.uniform(0.5, 1), np.sin, X)
        assert "jvp is not deterministic" in found["not-deterministic"]

    @pytest.mark.parametrize("order", ["A", "K"])
    def test_jvp_that_reads_memory_in_its_own_order(self, order):
        def wrong(t, x):
            return np.cos(x) * t.ravel(order=order).reshape(t.shape)

        assert "depends-on-memory-layout" in findings(wrong, np.sin, X)
        assert findings(lambda t, x: np.cos(x) * t.ravel().reshape(t.shape), np.sin, X) == {}

    def test_jvp_that_refuses_strided_tangents_has_a_note(self):
        def strict(t, x):
            if not (t.flags.c_contiguous and x.flags.c_contiguous):
                raise ValueError("not contiguous")
            return np.cos(x) * t

        report = gradcheck(np.sin, None, X, jvp=strict)
        assert any("jvp raised ValueError: not contiguous" in note for note in report.notes)


class TestLinearity:
    def test_constant_term(self):
        found = findings(lambda t, x: np.cos(x) * t + 1, np.sin, X)
        assert "not linear in tangents: for tangents = 0 it is 1" in found["nonlinear-in-tangents"]

    @pytest.mark.parametrize("change", [np.square, np.abs, np.sign, lambda t: t / np.linalg.norm(t)])
    def test_of_another_power(self, change):
        assert "nonlinear-in-tangents" in findings(lambda t, x: np.cos(x) * change(t), np.sin, X)

    def test_tangent_that_is_not_used(self):
        found = findings(lambda t, x: np.cos(x), np.sin, X)
        assert "does not depend on tangents: multiply by it" in found["ignores-tangents"]

    def test_maximum_of_two_is_homogeneous_and_not_a_sum(self):
        found = findings(lambda t, x: np.full(1, t.max()), lambda x: x[:1, 0], X)
        assert "nonlinear-in-tangents" in found

    def test_tangent_that_cancels_is_no_defect(self):
        # The mean of a softmax does not move: what is left is rounding.
        def softmax(z):
            e = np.exp(z - z.max())
            return e / e.sum()

        def push(t, z):
            y = softmax(z)
            return np.sum(y * (t - (t * y).sum()))

        assert findings(push, lambda z: np.sum(softmax(z)), X[0]) == {}


class TestForm:
    @pytest.mark.parametrize(
        ("wrong", "kind", "said"),
        [
            (
                lambda t, *i: None,
                "tangent-none",
                "tangent of the output is None; expected an array of shape (2, 2)",
            ),
            (lambda t, *i: jvp(t, *i)[None], "tangent-shape", "has shape (1, 2, 2); expected (2, 2)"),
            (lambda t, *i: jvp(t, *i).astype("f4"), "tangent-dtype", "is float32, and the output is float64"),
            (
                lambda t, *i: jvp(t, *i) * np.nan,
                "not-finite",
                "is nan at output[0, 0] (4 entries not finite)",
            ),
            (lambda t, *i: (product(*i), jvp(t, *i)), "tangent-count", "the tangent of the output alone"),
            (lambda t, *i: "text", "tangent-dtype", "is the str 'text'"),
            (lambda t, *i: 1 / 0, "jvp-raises", "jvp raised ZeroDivisionError"),
        ],
    )
    def test_of_one_output(self, wrong, kind, said):
        assert said in findings(wrong)[kind]

    def test_of_several_outputs(self):
        def forward(x):
            return np.sin(x), x.sum()

        assert findings(lambda t, x: (np.cos(x) * t, t.sum()), forward, X) == {}
        assert findings(lambda t, x: [np.cos(x) * t, t.sum()], forward, X) == {}
        found = findings(lambda t, x: np.cos(x) * t, forward, X)
        assert "expected a tuple of 2 arrays, one for each output" in found["tangent-count"]
        found = findings(lambda t, x: (np.cos(x) * t, np.ones(2)), forward, X)
        assert "tangent of output 1 has shape (2,); expected ()" in found["tangent-shape"]


def test_tangent_that_is_added_to_that_of_the_call_before():
    kept = np.zeros_like(X)

    def wrong(t, x):
        nonlocal kept
        kept = kept + np.cos(x) * t
        return kept.copy()

    found = findings(wrong, np.sin, X)
    assert "tangent of the output is added to that of the call before" in found["accumulated"]


def test_complex_tangent_of_a_real_output():
    found = findings(lambda t, x: np.cos(x) * t + 0j, np.sin, X)
    assert "is a complex128 array of shape (2, 3); expected a float64 array" in found["tangent-dtype"]
