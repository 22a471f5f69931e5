"""Texts from files in figures: they are shown as they are, whatever is in them, and as long as there is room."""

import io

import h5py
import numpy as np
import pytest
from matplotlib.text import Text
from pretend_engine import PretendEngine
from pretend_trials import SMALL, write_trials

from foraging_snn.analysis.collection import Collection, CollectionError
from foraging_snn.analysis.figures import figure_module, style, sweep_overview
from foraging_snn.analysis.figures.drawing import FORMATS
from foraging_snn.analysis.sweep_table import SweepRow, SweepTable
from foraging_snn.commands.demo import save_figure

pytestmark = pytest.mark.slow

NAMES = ("sequential", "interleaved", "sleep", "sequential-sleep", "sequential-interleaved")
FAMILIES = {"performance": "s5", "weights": "fig4", "fields": "fig5", "trajectories": "fig7", "replay": "replay"}
WITH_LABEL = {"performance", "weights", "trajectories", "replay"}
PARAMETERS = SMALL.with_changes({"recording.snapshots_per_phase": 10, "recording.spike_window_epochs": 200})
FORMULA = r"$\frac{a_b $ \ x^2 % & #"  # neither a formula that can be set nor TeX
LONG = "label " * 33


class WanderingEngine(PretendEngine):
    """Every phase that learns changes all strengths; all layers spike."""

    def _advance(self, epochs, spikes):
        records = super()._advance(epochs, spikes)
        if not self._phase.is_test:
            rng = np.random.default_rng([self._now.seed, records.first_epoch])
            self._now.hidden_output = self._now.hidden_output + 0.02 * rng.random(self._now.hidden_output.shape)
        if spikes:
            first = (records.first_epoch + np.arange(epochs)) * self.parameters.timing.steps_per_epoch
            rng = np.random.default_rng([self._now.seed, records.first_epoch])
            n_input, n_hidden = self.parameters.n_input, self.parameters.n_hidden
            hidden, output = rng.integers(n_hidden, size=epochs), rng.integers(8, size=epochs)
            records.spike_step = np.column_stack([first + 100, first + 150]).ravel()
            records.spike_cell = np.column_stack([n_input + hidden, n_input + n_hidden + output]).ravel().astype(np.int32)
        return records


def folder_with(directory, text):
    """Trials that tell this of themselves."""
    write_trials(directory, NAMES, [6, 8], PARAMETERS, WanderingEngine)
    for path in directory.glob("*.h5"):
        with h5py.File(path, "r+") as file:
            for attributes, name in ((file.attrs, "label"), (file.attrs, "started_from"), (file["provenance"].attrs, "engine")):
                attributes[name] = text
    return directory


@pytest.fixture(scope="module")
def with_formula(tmp_path_factory):
    return Collection(folder_with(tmp_path_factory.mktemp("with $x_1$ and $"), FORMULA))


@pytest.fixture(scope="module")
def with_long_text(tmp_path_factory):
    return Collection(folder_with(tmp_path_factory.mktemp("long"), LONG))


def drawn(figure):
    """All that is written in a figure, once it is drawn."""
    figure.canvas.draw()
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def is_written(text, texts):
    return any(text in " ".join(one.get_text().split()) for one in texts)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_formula_in_a_file_is_written_as_it_is(with_formula, family):
    with style.applied():
        texts = drawn(figure_module(FAMILIES[family]).draw(with_formula))
    assert is_written(f"all trials start with one network: {FORMULA}, engine {FORMULA}, ", texts)
    assert any(text.get_text().startswith(FORMULA) for text in texts) == (family in WITH_LABEL)
    assert not any(text.get_parse_math() for text in texts if FORMULA in text.get_text())


@pytest.mark.parametrize("ending", FORMATS)
def test_a_formula_in_a_file_goes_into_every_format(with_formula, ending):
    with style.applied():
        figure_module("s5").draw(with_formula).savefig(io.BytesIO(), format=ending)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_long_text_leaves_room_for_the_panels(with_long_text, family):
    with style.applied():
        figure = figure_module(FAMILIES[family]).draw(with_long_text)
        texts = drawn(figure)
        titles = [text for text in texts if text.get_text().startswith("label")]
        assert bool(titles) == (family in WITH_LABEL)
        for title in titles:
            assert title.get_window_extent().x1 <= figure.bbox.x1
            assert "…" in title.get_text()
        assert len(figure._supxlabel.get_text().splitlines()) <= 2 * style.MOST_LINES
        assert sum(axes.get_window_extent().height for axes in figure.axes[:1]) > 0.1 * figure.bbox.height


def test_our_own_formulas_are_set(with_formula):
    with style.applied():
        texts = drawn(figure_module("fig7").draw(with_formula))
    formulas = [text for text in texts if "M_{T1" in text.get_text()]
    assert len(formulas) == 2 + 4  # in the legend, in the schematics
    assert all(text.get_parse_math() for text in formulas)


def test_the_overview_of_a_sweep_writes_texts_as_they_are():
    rows = tuple(SweepRow((value,), 1, FORMULA, task, 6, 4, 0.6) for value in (1, 2) for task in (1, 2))
    with style.applied():
        texts = drawn(sweep_overview.draw(SweepTable("sleep", FORMULA, (FORMULA,), rows, (FORMULA,))))
    assert is_written(f"{FORMULA}: tests after ", texts)
    assert FORMULA in [text.get_text() for text in texts]
    assert is_written(f"1 trial per point, {FORMULA}", texts)


def test_the_demo_writes_texts_as_they_are(with_formula, tmp_path):
    save_figure(tmp_path / "demo.png", {name: with_formula.trials(name) for name in ("sequential", "sleep")}, [FORMULA])
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("T1 -> T2", "T1 → T2"), ("a\nb\tc", "a b c"), ("a\x07b", "a\N{REPLACEMENT CHARACTER}b"), ("x" * 41, "x" * 39 + "…")],
)
def test_a_label_is_one_printable_line(text, shown):
    assert style.written(text) == shown


def test_small_print_ends_somewhere():
    lines = style.lines_of("word " * 1000, 50)
    assert len(lines) == style.MOST_LINES
    assert max(map(len, lines)) <= 50
    assert lines[-1].endswith(" …")


def test_a_file_with_phases_of_its_own_is_not_taken_for_the_experiment(tmp_path):
    write_trials(tmp_path, ["sequential-interleaved"], [6])
    (path,) = tmp_path.glob("*.h5")
    with h5py.File(path, "r+") as file:
        file["phases/001"].attrs["name"] = FORMULA
    with pytest.raises(CollectionError) as error:
        Collection(tmp_path).require(["sequential-interleaved"])
    assert str(error.value) == f"{path}: its phases are not those of sequential-interleaved"
