"""What the drop-in raises: an error of gradlab, and that of PyTorch's own check, which users may catch."""

from __future__ import annotations

from torch.autograd.gradcheck import GradcheckError

from gradlab.errors import GradientError


class TorchGradientError(GradientError, GradcheckError):
    """A check did not end in ``pass``; an `AssertionError`, and as in PyTorch a `RuntimeError`."""
