r"""The derivatives of autograd's primitives, checked: change one import.

=================================================  ==============================================
autograd.test_util                                 gradlab.autograd
=================================================  ==============================================
``check_grads(f, argnum, modes, order)(*args)``    `check_grads`, with the same arguments
``check_vjp(f, x)``                                `check_vjp`, with the same arguments
``check_jvp(f, x)``                                `check_jvp`, with the same arguments
=================================================  ==============================================

A function is compared with autograd's derivative of it, and so with the rules given to `defvjp` and `defjvp`
of all primitives that it calls. Neither a step nor a tolerance is guessed. Each returns a `Report`, which is
true where the derivative is right, and raises `GradientError` where it is not; what the function or a rule
raises itself passes through.
"""

from __future__ import annotations

try:
    import autograd.core as _core  # noqa: F401 - whether it is installed
except ModuleNotFoundError:
    text = "gradlab.autograd needs autograd: pip install 'gradlab-verify[autograd]'"
    raise ModuleNotFoundError(text, name="autograd") from None

from gradlab.autograd.checks import check_grads, check_jvp, check_vjp

__all__ = ["check_grads", "check_jvp", "check_vjp"]
