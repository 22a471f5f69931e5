"""What all tests share."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def _width_of_a_pipe():
    """pytest-xdist puts COLUMNS into the environment of its workers; tables would fold to it, those of module fixtures too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        yield
