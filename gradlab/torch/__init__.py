"""The derivatives that one writes for PyTorch, checked: change one import.

=====================================================  ================================================
torch.autograd                                         gradlab.torch
=====================================================  ================================================
``gradcheck(func, inputs)``                            `gradcheck`, with the same arguments
``gradgradcheck(func, inputs, grad_outputs)``          `gradgradcheck`, with the same arguments
=====================================================  ================================================

``func`` is a function, a `torch.autograd.Function`, a `torch.nn.Module` (whose parameters are inputs, under
their own names) or an operator of `torch.library`. The numerical side works in float64, where ``func`` does;
the derivative is asked in the precision given, and on the device. Neither a step nor a tolerance is guessed.
Each returns a `Report`, which is true where the derivative is right, and raises `GradientError` where it is
not, which is PyTorch's ``GradcheckError`` too; what a function raises itself passes through.
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401 - whether it is installed
except ModuleNotFoundError:
    text = "gradlab.torch needs PyTorch: pip install 'gradlab-verify[torch]'"
    raise ModuleNotFoundError(text, name="torch") from None

from gradlab.torch.checks import gradcheck, gradgradcheck

__all__ = ["gradcheck", "gradgradcheck"]
