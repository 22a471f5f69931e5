"""What the shell completes after `foraging-snn --install-completion`: names of experiments, engines and presets."""

from collections.abc import Iterable

from foraging_snn.models import ENGINES, PRESETS, preset
from foraging_snn.protocols import experiments


def _beginning_with(typed: str, known: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, words) for name, words in known if name.startswith(typed)]


def complete_engine(incomplete: str) -> list[tuple[str, str]]:
    """Engines with what they are."""
    return _beginning_with(incomplete, ((name, words) for name, (_, _, words) in ENGINES.items()))


def complete_preset(incomplete: str) -> list[tuple[str, str]]:
    """Presets with what they are."""
    return _beginning_with(incomplete, ((name, words) for name, (words, _) in PRESETS.items()))


def complete_experiment(incomplete: str) -> list[tuple[str, str]]:
    """Experiments of the paper with their labels."""
    return _beginning_with(incomplete, ((row.name, row.label) for row in experiments(preset("full")).values()))


def complete_experiments(incomplete: str) -> list[tuple[str, str]]:
    """The same for the last of a list with commas between."""
    before, comma, last = incomplete.rpartition(",")
    return [(f"{before}{comma}{name}", label) for name, label in complete_experiment(last)]
