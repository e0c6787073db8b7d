import pytest


@pytest.fixture(autouse=True)
def _forks(forks):
    """Start no interpreter for each `Pool`; what commands are started here have those of a user."""
