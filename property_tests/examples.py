"""How the tests of this folder draw: a few examples each, whatever time one takes."""

from hypothesis import HealthCheck, Phase, settings


def examples(count):
    """Return the settings of a test with so many examples; one that fails is shown as it was drawn.

    A check takes milliseconds, and shrinking hundreds of them: minutes. Whoever wants the simplest example
    adds `Phase.shrink`.
    """
    return settings(
        max_examples=count,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
