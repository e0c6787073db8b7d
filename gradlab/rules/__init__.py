"""The built-in rules: one file each, with its formulas: backward, jvp and the closed-form Jacobian.

Upstream gradients and gradients are written ``dL/dY`` and ``dL/dX``, tangents with a dot: ``Ẋ`` is how the
inputs move, ``Ẏ`` how the outputs then do.

Adding a rule is one file and one line below; every check, property test and table picks it up.
"""

from gradlab.rule import Rule
from gradlab.rules import cross_entropy, embedding, identity, linear, softmax, square_loss, tanh

RULES: tuple[Rule, ...] = (
    identity.RULE,
    tanh.RULE,
    linear.RULE,
    softmax.RULE,
    square_loss.SUM,
    square_loss.MEAN,
    cross_entropy.PROBABILITIES,
    cross_entropy.LOGITS,
    embedding.RULE,
)

__all__ = ["RULES"]
