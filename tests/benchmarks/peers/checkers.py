"""The peers, each wrapped so that it checks a forward and a backward function of NumPy arrays.

Each runs on its documented defaults. ``f(*xs)`` is the forward function of the floating-point inputs alone,
``b(dy, *xs)`` the backward rule, always as a tuple. None of the wrappers copies the inputs: a function that
writes to its arguments does to each peer what it would do to a user of it.
"""

import numpy as np
from peer import NotApplicable, Peer

JACOBIAN = 30_000_000  # entries; torch.autograd.gradcheck holds three of them, 0.7 GB


def _torch(f, b, xs, rng, *, fast_mode):
    import torch

    out = f(*xs)
    if not fast_mode and sum(x.size for x in xs) * np.size(out) > JACOBIAN:
        raise NotApplicable("the explicit Jacobian does not fit into memory")

    def tensor(array):  # a copy: torch takes no negative strides
        return None if array is None else torch.from_numpy(np.array(array, order="C"))

    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            ctx.save_for_backward(*tensors)
            return tensor(f(*(t.detach().numpy() for t in tensors)))

        @staticmethod
        def backward(ctx, upstream):
            return tuple(map(tensor, b(upstream.numpy(), *(t.detach().numpy() for t in ctx.saved_tensors))))

    torch.manual_seed(int(rng.integers(2**31)))
    inputs = tuple(torch.from_numpy(x).requires_grad_() for x in xs)
    return torch.autograd.gradcheck(Rule.apply, inputs, fast_mode=fast_mode, raise_exception=False)


def torch_slow(f, b, xs, rng):
    """PyTorch, all of the Jacobian: a `torch.autograd.Function` around the NumPy functions."""
    return _torch(f, b, xs, rng, fast_mode=False)


def torch_fast(f, b, xs, rng):
    """PyTorch, one random direction on either side."""
    return _torch(f, b, xs, rng, fast_mode=True)


def jax_check_vjp(f, b, xs, rng):
    """JAX: ``f_vjp`` is our backward rule; its random directions are always the same.

    The functions see arrays that cannot be written to, as JAX's cannot.
    """
    import jax
    from jax.test_util import check_vjp

    jax.config.update("jax_enable_x64", True)

    def forward(*values):
        return f(*map(_read_only, values))

    def f_vjp(*values):
        return forward(*values), lambda dy: b(*map(_read_only, (dy, *values)))

    check_vjp(forward, f_vjp, tuple(xs))
    return True


def _read_only(value):
    if isinstance(value, np.ndarray):
        value = value.view()
        value.flags.writeable = False
    return value


def autograd_check_grads(f, b, xs, rng):
    """HIPS/autograd, in reverse mode and of first order: NumPy code has no other derivatives."""
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    np.random.seed(int(rng.integers(2**31)))  # noqa: NPY002  # it draws from the global state
    rule = primitive(f)

    def vjp(k):
        return lambda answer, *values: lambda dy: b(dy, *values)[k]

    defvjp(rule, *map(vjp, range(len(xs))))
    places = 0 if len(xs) == 1 else tuple(range(len(xs)))
    check_grads(rule, places, modes=["rev"], order=1)(*xs)
    return True


def _as_vector(f, b, xs, rng):
    """Return a scalar function of one vector, its gradient, and the vector."""
    upstream = rng.normal(size=np.shape(f(*xs)))
    ends = np.cumsum([x.size for x in xs])

    def parts(vector):
        pieces = np.split(vector, ends[:-1])
        return (piece.reshape(x.shape) for piece, x in zip(pieces, xs, strict=True))

    def func(vector):
        return np.sum(upstream * f(*parts(vector)))

    def grad(vector):
        return np.concatenate([np.ravel(gradient) for gradient in b(upstream, *parts(vector))])

    return func, grad, np.concatenate([x.ravel() for x in xs])


def scipy_check_grad(f, b, xs, rng):
    """SciPy: it returns a norm, of which its documentation says no more than that 3e-8 is small.

    Below 1e-5, relative to the gradient's norm where that is above 1, is accepted here: of the powers of ten
    one of the two with which it tells most of the catalogue's defects from their right rules.
    """
    from scipy.optimize import check_grad

    func, grad, x = _as_vector(f, b, xs, rng)
    return check_grad(func, grad, x) <= 1e-5 * max(1.0, np.linalg.norm(grad(x)))


def numdifftools_gradient(f, b, xs, rng):
    """Numdifftools: compared by `numpy.allclose`, as in its documentation."""
    import numdifftools

    func, grad, x = _as_vector(f, b, xs, rng)
    analytic = grad(x)
    return np.allclose(analytic, numdifftools.Gradient(func)(x))


def pytensor_verify_grad(f, b, xs, rng):
    """PyTensor: an `Op` and its pullback; compiling them takes seconds and does nothing for NumPy code."""
    import pytensor.tensor as pt
    from pytensor.compile.mode import Mode
    from pytensor.gradient import GradientError, verify_grad
    from pytensor.graph.basic import Apply
    from pytensor.graph.op import Op

    out = np.asarray(f(*xs))

    class Pullback(Op):
        def make_node(self, upstream, *inputs):
            return Apply(self, [upstream, *inputs], [i.type() for i in inputs])

        def perform(self, node, inputs, outputs):
            for place, gradient in zip(outputs, b(*inputs), strict=True):
                place[0] = gradient if gradient is None else np.asarray(gradient)

    class Rule(Op):
        def make_node(self, *inputs):
            inputs = [pt.as_tensor_variable(i) for i in inputs]
            return Apply(self, inputs, [pt.tensor(dtype=out.dtype, shape=out.shape)])

        def perform(self, node, inputs, outputs):
            outputs[0][0] = np.asarray(f(*inputs))

        def pullback(self, inputs, outputs, cotangents):
            gradients = Pullback()(*cotangents, *inputs)
            return gradients if isinstance(gradients, list) else [gradients]

    try:
        verify_grad(Rule(), list(xs), rng=rng, mode=Mode("vm", None))
    except GradientError:
        return False
    return True


def course_notes(f, b, xs, rng, *, tolerance=1e-7):
    """Check as course notes do (CS231n): h = 1e-5, and the largest relative error.

    They call 1e-7 good, and 1e-4 usually good enough where there are kinks.
    """
    df = rng.normal(size=np.shape(f(*xs)))
    gradients = b(df, *xs)
    numeric = [eval_numerical_gradient_array(lambda _: f(*xs), x, df) for x in xs]
    return all(rel_error(g, n) < tolerance for g, n in zip(gradients, numeric, strict=True))


def course_notes_kinks(f, b, xs, rng):
    """Check likewise with the tolerance for kinks."""
    return course_notes(f, b, xs, rng, tolerance=1e-4)


def eval_numerical_gradient_array(f, x, df, h=1e-5):
    """Return the gradient of ``<df, f(x)>`` by central differences, entry by entry."""
    grad = np.zeros_like(x)
    for ix in np.ndindex(x.shape):
        oldval = x[ix]
        x[ix] = oldval + h
        pos = np.copy(f(x))
        x[ix] = oldval - h
        neg = np.copy(f(x))
        x[ix] = oldval
        grad[ix] = np.sum((pos - neg) * df) / (2 * h)
    return grad


def rel_error(x, y):
    """Return the largest relative difference."""
    return np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y)))


PEERS = (
    Peer("torch gradcheck", "torch", torch_slow, every_entry=True, traced=False),
    Peer("torch gradcheck, fast_mode", "torch", torch_fast, traced=False),
    Peer("JAX check_vjp", "jax", jax_check_vjp, single=True),
    Peer("autograd check_grads", "autograd", autograd_check_grads, shapes=True),
    Peer("SciPy check_grad", "scipy", scipy_check_grad, every_entry=True),
    Peer("numdifftools Gradient", "numdifftools", numdifftools_gradient, every_entry=True),
    Peer(
        "PyTensor verify_grad", "pytensor", pytensor_verify_grad, every_entry=True, single=True, shapes=True
    ),
    Peer("course notes, < 1e-7", "", course_notes, every_entry=True, shapes=True),
    Peer("course notes, < 1e-4", "", course_notes_kinks, every_entry=True, shapes=True, variant=True),
)
