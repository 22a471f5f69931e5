"""Under what conditions a trial was run: preset, what is shorter than in the paper, what else differs, start state.

Said beside every result, on the screen, in tables and in figures.
"""

import shlex
from collections.abc import Iterable, Sequence

from foraging_snn.models import EACH_ITS_OWN, Parameters, Phase, preset
from foraging_snn.models.parameters import in_words

FREE_GROUP = "recording."  # what is kept of a trial does not change it
NETWORK_SEED = "network.seed"


def run_conditions(parameters: Parameters, phases: Sequence[Phase], started_from: str | None) -> tuple[str, ...]:
    """What a reader of a result has to know: preset, what is shorter than in the paper, what else differs, start state.

    Parameters
    ----------
    parameters : Parameters
    phases : sequence of Phase
        Those that are run.
    started_from : str or None
        What stood in for the unsupervised phase.
    """
    return condition_lines(parameters, shortened_lengths(parameters, phases), changes_in_phases(parameters, phases), started_from)


def condition_lines(
    parameters: Parameters, shorter: Sequence[str], in_phases: Sequence[str], started_from: str | None
) -> tuple[str, ...]:
    """The same where it is known what is shorter and what is changed in phases, e.g. in one of several trials; see
    :func:`shortened_lengths`, :func:`changes_in_phases`."""
    lines = [f"preset {parameters.preset}"]
    if shorter:
        lines.append(f"shortened: {', '.join(shorter)} aeons")
    if changed := changed_rules(parameters):
        lines.append(f"changed: {', '.join(changed)}")
    lines += in_phases
    if started_from:
        lines.append(f"no unsupervised phase; all trials start with one network: {started_from}")
    else:
        lines.append(network_line(parameters))
    return tuple(lines)


def network_line(parameters: Parameters) -> str:
    """Whether trials share a wiring, as the paper's do: its program gives all of them one file of connections."""
    seed = parameters.network.seed
    if seed == EACH_ITS_OWN:
        return f"every trial has a network of its own ({NETWORK_SEED} {seed}); the paper's trials share one"
    return f"one network for all trials, as in the paper ({NETWORK_SEED} {seed})"


def shortened_lengths(parameters: Parameters, phases: Iterable[Phase]) -> list[str]:
    """Kinds of phases that are run and are shorter than at full length: "training 2000 of 50000"."""
    full, epochs_per_aeon = preset("full"), parameters.timing.epochs_per_aeon
    shorter = []
    for length, epochs in _lengths_in_use(phases).items():
        there = full.aeons(length)
        if here := [f"{aeons:g}" for aeons in (n / epochs_per_aeon for n in epochs) if aeons < there]:
            shorter.append(f"{length} {' and '.join(here)} of {there}")
    return shorter


def changes_in_phases(parameters: Parameters, phases: Iterable[Phase]) -> list[str]:
    """What is other in a phase than in the rest of the trial: "in T2: reward.punished -0.5 instead of -0.001"; and in which phases
    rules act between epochs: "rule between epochs of T1, T2: elastic(strength=0.1) [source 0123456789abcdef]"."""
    phases = list(phases)
    usual = parameters.values()
    lines = {
        f"in {phase.name}: {', '.join(f'{name} {value} instead of {usual.get(name)}' for name, value in phase.changes)}": None
        for phase in phases
        if phase.changes
    }
    of_rule: dict[str, dict[str, None]] = {}
    for phase in phases:
        for rule in phase.rules:
            of_rule.setdefault(str(rule), {})[phase.name] = None
    return [*lines, *(f"rule between epochs of {', '.join(names)}: {rule}" for rule, names in of_rule.items())]


def _lengths_in_use(phases: Iterable[Phase]) -> dict[str, list[int]]:
    """Which lengths of parameters.Phases these phases have, in their order, and how many epochs these are."""
    lengths: dict[str, list[int]] = {}
    for phase in phases:
        if phase.is_unsupervised:
            length = "unsupervised"
        elif phase.is_test:
            length = "dropout" if phase.dropout else "test"
        elif len(phase.blocks) > 1:
            length = "interleaved"
        elif all(activity.is_sleep for activity in phase.activities):
            length = "sleep"
        else:
            length = "retraining" if "training" in lengths else "training"
        if phase.epochs not in (epochs := lengths.setdefault(length, [])):
            epochs.append(phase.epochs)
    return lengths


def changed_rules(parameters: Parameters) -> list[str]:
    """Parameters other than lengths and recording that are not those of the paper: "sleep.pulse 0.03 instead of 0.025"."""
    full, left_out = preset("full").values(), (FREE_GROUP, NETWORK_SEED)
    rules = {name: value for name, value in parameters.values().items() if not name.startswith(left_out) and not _is_length(name)}
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
