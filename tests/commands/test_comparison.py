"""Comparing engines: what is measured, on data with a known answer, and the command."""

import numpy as np
import pytest
from typer.testing import CliRunner

from foraging_snn.commands.cli import app, main
from foraging_snn.commands.comparison import compare_epochs, compare_learning, phases_to_compare
from foraging_snn.models import engine_class, initial_state, preset


def test_curves_that_are_equal_are_indistinguishable():
    curves = np.random.default_rng(1).uniform(0.5, 0.7, (10, 5))
    result = compare_learning(curves, curves)
    assert (result.mean.p_value, result.largest_bin.p_value) == (1.0, 1.0)


def test_a_shift_in_all_seeds_is_found_and_noise_is_not():
    rng = np.random.default_rng(2)
    reference = rng.uniform(0.5, 0.7, (10, 5))
    shifted = compare_learning(reference + 0.1, reference)
    assert (shifted.mean.p_value, shifted.mean.exact) == (pytest.approx(2 / 2**10), True)
    assert (shifted.largest_bin.p_value, shifted.largest_bin.exact) == (pytest.approx(2 / 2**10), True)
    assert compare_learning(reference + rng.normal(0, 0.1, (10, 5)), reference).mean.p_value > 0.05


def test_another_shape_with_the_same_mean_is_found_by_the_largest_bin():
    reference = np.random.default_rng(3).uniform(0.5, 0.7, (8, 4))
    result = compare_learning(reference + [0.2, -0.2, 0.1, -0.1], reference)
    assert result.mean.p_value > 0.05
    assert result.largest_bin.p_value == pytest.approx(2 / 2**8)


def test_an_engine_equals_itself_in_every_epoch():
    parameters = preset("full")
    engine = engine_class("event")(parameters)
    for phase in phases_to_compare(parameters):
        result = compare_epochs(engine, engine, initial_state(parameters, 1), phase, 3)
        assert (result.same_hidden, result.same_output, result.same_moves) == (1.0, 1.0, 1.0)
        assert result.strength_after_epoch == result.strength_after_stretch == 0.0
        assert result.first_difference == -1


def test_another_noise_makes_other_spikes():
    parameters = preset("full")
    engine = engine_class("event")(parameters)
    other = engine_class("event")(parameters.with_changes({"synapse.noise": 0.3}))
    phase = phases_to_compare(parameters)[0]
    result = compare_epochs(engine, other, initial_state(parameters, 1), phase, 5)
    assert result.same_hidden < 0.5 and result.first_difference >= 0


def test_the_command_prints_every_kind_of_phase():
    result = CliRunner().invoke(app, ["compare-engines", "--epochs", "3", "--seeds", "0"])
    assert result.exit_code == 0, result.output
    for phase in ("unsupervised", "training", "test", "interleaved sleep"):
        assert phase in result.output


@pytest.mark.parametrize(
    "options",
    [
        ["--epochs", "0"],
        ["--seeds", "1"],
        ["--seeds", "1000000000"],
        ["--aeons", "3"],
        ["--engine", "brian2"],
        ["--reference", "nonsense"],
    ],
)
def test_bad_options_get_one_line_and_code_2(options, capsys):
    assert main(["compare-engines", *options]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
