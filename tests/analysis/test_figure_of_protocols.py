"""The figure of protocols that are not the paper's: bars for two tasks, a matrix for more."""

import numpy as np
import pytest
from pretend_engine import PretendEngine
from pretend_trials import SMALL, write_trials

from foraging_snn.analysis.collection import Collection, CollectionError
from foraging_snn.analysis.figures import protocols, style
from foraging_snn.commands.cli import main
from foraging_snn.protocols import protocol
from foraging_snn.running.plan import trial_path
from foraging_snn.running.trial import run_trial

pytestmark = pytest.mark.slow


def write(folder, text, seeds=(4, 6)):
    experiment = protocol(text, SMALL)
    for seed in seeds:
        options = {"seed": seed, "engine": PretendEngine(SMALL), "path": trial_path(folder, experiment.name, seed)}
        run_trial(experiment, SMALL, **options)


def drawn(folder):
    with style.applied():
        return protocols.draw(Collection(folder))


def test_three_tasks_have_a_matrix_with_a_number_for_each_test(tmp_path):
    write(tmp_path, "T1 -> T3 -> I(S,T2)")
    figure = drawn(tmp_path)
    right = figure.axes[1]
    (image,) = right.images
    assert image.get_array().shape == (3, 3)
    assert np.asarray(image.get_array()) == pytest.approx(np.full((3, 3), 0.5))  # seeds 4 and 6 of the pretended engine
    assert [text.get_text() for text in right.texts if text.get_text().startswith(".")] == [".50"] * 9
    bold = [text.get_weight() == "bold" for text in right.texts if text.get_text().startswith(".")]
    assert bold == [True, False, False, True, False, True, True, True, True]  # T1, then T3, then all
    assert [label.get_text() for label in right.get_yticklabels()] == ["T1", "T3", "I(S,T2)"]


def test_two_tasks_have_bars_and_experiments_of_the_paper_are_left_to_its_figures(tmp_path):
    write(tmp_path, "T1 -> I(S,T2) -> T1")
    write_trials(tmp_path, ["sequential"], (4, 6))
    figure = drawn(tmp_path)
    assert len(figure.axes) == 2
    assert not figure.axes[1].images
    assert "after\nI(S,T2)" in [label.get_text() for label in figure.axes[1].get_xticklabels()]


def test_a_folder_of_the_paper_alone_has_no_such_figure(tmp_path, capfd):
    write_trials(tmp_path, ["sequential"], (4,))
    with pytest.raises(CollectionError, match="no other protocols than those of the paper"):
        drawn(tmp_path)
    assert main(["figures", str(tmp_path), "--only", "protocols"]) == 2
    assert "protocols: not drawn, " in capfd.readouterr().out
