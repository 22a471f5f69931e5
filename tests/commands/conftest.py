"""What the tests of commands share: a command that succeeds, and one that fails on bad input."""

import pytest

from foraging_snn.commands.cli import main


@pytest.fixture
def done(capfd):
    """Run a command that succeeds; what it prints."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert (code, err) == (0, "")
        return out

    return run


@pytest.fixture
def refused(capfd):
    """Run a command that fails on bad input; its one line."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        line = capfd.readouterr().err
        assert code == 2
        assert line.startswith("foraging-snn: ")
        assert line.count("\n") == 1
        return line.removeprefix("foraging-snn: ").rstrip("\n")

    return run
