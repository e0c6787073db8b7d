import pytest


@pytest.fixture(autouse=True)
def _forks(forks):
    """Start no interpreter for each call of `main`; what commands are started here have those of a user."""
