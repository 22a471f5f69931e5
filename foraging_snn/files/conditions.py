"""Under what conditions a trial was run: preset, what is shorter than in the paper, what else differs, start state.

Said beside every result, on the screen, in tables and in figures.
"""

import shlex
from collections.abc import Iterable, Sequence

from foraging_snn.models import Parameters, Phase, preset
from foraging_snn.models.parameters import in_words

FREE_GROUP = "recording."  # what is kept of a trial does not change it


def run_conditions(parameters: Parameters, phases: Iterable[Phase], started_from: str | None) -> tuple[str, ...]:
    """What a reader of a result has to know: preset, what is shorter than in the paper, what else differs, start state.

    Parameters
    ----------
    parameters : Parameters
    phases : iterable of Phase
        Those that are run.
    started_from : str or None
        What stood in for the unsupervised phase.
    """
    return condition_lines(parameters, shortened_lengths(parameters, phases), started_from)


def condition_lines(parameters: Parameters, shorter: Sequence[str], started_from: str | None) -> tuple[str, ...]:
    """The same where it is known what is shorter, e.g. in one of several trials; see :func:`shortened_lengths`."""
    lines = [f"preset {parameters.preset}"]
    if shorter:
        lines.append(f"shortened: {', '.join(shorter)} aeons")
    if changed := changed_rules(parameters):
        lines.append(f"changed: {', '.join(changed)}")
    if started_from:
        lines.append(f"no unsupervised phase; all trials start with one network: {started_from}")
    return tuple(lines)


def shortened_lengths(parameters: Parameters, phases: Iterable[Phase]) -> list[str]:
    """Kinds of phases that are run and are shorter than at full length: "training 2000 of 50000"."""
    full = preset("full")
    pairs = [(length, parameters.aeons(length), full.aeons(length)) for length in _lengths_in_use(phases)]
    return [f"{length} {here} of {there}" for length, here, there in pairs if here < there]


def _lengths_in_use(phases: Iterable[Phase]) -> dict[str, None]:
    """Which lengths of parameters.Phases these phases have, in their order."""
    lengths: dict[str, None] = {}
    for phase in phases:
        if phase.is_unsupervised:
            length = "unsupervised"
        elif phase.is_test:
            length = "dropout" if phase.dropout else "test"
        elif len(phase.activities) > 1:
            length = "interleaved"
        else:
            length = "retraining" if "training" in lengths else "training"
        lengths[length] = None
    return lengths


def changed_rules(parameters: Parameters) -> list[str]:
    """Parameters other than lengths and recording that are not those of the paper: "sleep.pulse 0.03 instead of 0.025"."""
    full = preset("full").values()
    rules = {name: value for name, value in parameters.values().items() if not name.startswith(FREE_GROUP) and not _is_length(name)}
    before = {name: f" instead of {in_words(full[name])}" if name in full else "" for name in rules}
    return [f"{name} {in_words(value)}{before[name]}" for name, value in rules.items() if value != full.get(name)]


def _is_length(name: str) -> bool:
    return name == "phases.scale" or name.startswith("phases.") and name.endswith("_aeons")


def different_rules(parameters: Parameters, other: Parameters) -> list[str]:
    """Parameters in which two trials differ, those of recording aside: "name: here, there"."""
    return [line for line in parameters.differences(other) if not line.startswith(FREE_GROUP)]


def command_options(parameters: Parameters) -> list[str]:
    """Options of the command line that give these parameters, recording aside: "--preset quick", "--set sleep.pulse=0.03"."""
    usual = preset(parameters.preset).values()
    values = {name: value for name, value in parameters.values().items() if not name.startswith(FREE_GROUP)}
    changed = [f"{name}={in_words(value)}" for name, value in values.items() if value != usual.get(name)]
    return [f"--preset {parameters.preset}", *(f"--set {shlex.quote(each)}" for each in changed)]
