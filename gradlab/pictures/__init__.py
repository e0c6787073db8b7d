"""What pictures of a derivative show, as data: taken at one point, only when it is asked for."""

from __future__ import annotations

from gradlab.pictures.data import Comparison, JacobianPair, Kink, Pictures, Steps

__all__ = ["Comparison", "JacobianPair", "Kink", "Pictures", "Steps"]
