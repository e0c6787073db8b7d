"""The derivatives that one writes for JAX, checked: change one import.

=====================================================  ================================================
jax.test_util                                          gradlab.jax
=====================================================  ================================================
``check_grads(f, args, order, modes)``                 `check_grads`, with the same arguments
``check_vjp(f, f_vjp, args)``                          `check_vjp`, with the same arguments
``check_jvp(f, f_jvp, args)``                          `check_jvp`, with the same arguments
=====================================================  ================================================

Arguments and outputs are any pytrees. Differentiated are the floating-point and complex arrays in them;
integers, random keys and all else are constants. The numerical side works in float64 whether or not the
caller has it switched on; the derivative is asked in the precision given. A `jax.custom_vjp` or
`jax.custom_jvp` is compared with JAX's own derivative of the function that it decorates. Neither a step nor a
tolerance is guessed. Each returns a `Report`, which is true where the derivative is right, and raises
`GradientError` where it is not; what a function raises itself passes through.
"""

from __future__ import annotations

try:
    import jax as _jax  # noqa: F401 - whether it is installed
except ModuleNotFoundError:
    text = "gradlab.jax needs JAX: pip install 'gradlab-verify[jax]'"
    raise ModuleNotFoundError(text, name="jax") from None

from gradlab.jax.checks import check_grads, check_jvp, check_vjp

__all__ = ["check_grads", "check_jvp", "check_vjp"]
