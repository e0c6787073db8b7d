r"""The derivatives that one hands to `scipy.optimize`, checked: change one import.

====================================  =========================================
SciPy                                 gradlab
====================================  =========================================
``check_grad(func, grad, x0, *args)``  `check_grad`, with the same arguments
``least_squares(fun, x0, jac=jac)``    `check_jac`\\ ``(fun, jac, x0)``
``minimize(..., hess=hess)``           `check_hess`\\ ``(grad, hess, x0)``
``minimize(..., hessp=hessp)``         `check_hessp`\\ ``(grad, hessp, x0)``
====================================  =========================================

`check` takes the call of a solver itself. Neither a step nor a tolerance is guessed; what is wrong is named
``[i, j]``, output and unknown. Each returns a `Report`, which is true where the derivative is right, and
raises `GradientError` where it is not.
"""

from gradlab.scipy.derivatives import check_grad, check_hess, check_hessp, check_jac
from gradlab.scipy.solvers import check

__all__ = ["check", "check_grad", "check_hess", "check_hessp", "check_jac"]
