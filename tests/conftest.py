"""What all tests share."""

import pytest


@pytest.fixture(autouse=True)
def _width_of_a_pipe(monkeypatch):
    """pytest-xdist puts COLUMNS into the environment of its workers; tables would fold to it."""
    monkeypatch.delenv("COLUMNS", raising=False)
