"""Networks: rules composed of rules, each itself a rule that can be checked; and gradient descent."""

from gradlab.networks import language_model, layer, neuron
from gradlab.rule import Rule

RULES: tuple[Rule, ...] = (layer.IDENTITY, layer.TANH, neuron.RULE, language_model.RULE)

__all__ = ["RULES"]
