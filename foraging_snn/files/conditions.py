"""Under what conditions a trial was run: preset, what is shorter than in the paper, what else differs, start state.

Said beside every result, on the screen, in tables and in figures.
"""

from collections.abc import Iterable, Sequence

from foraging_snn.models import EACH_ITS_OWN, Parameters, Phase, preset

FREE_GROUP = "recording."  # what is kept of a trial does not change it
NETWORK_SEED = "network.seed"


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
    full = {row.name: row.value for row in preset("full").rows()}
    rows = [row for row in parameters.rows() if not row.name.startswith((FREE_GROUP, NETWORK_SEED)) and not _is_length(row.name)]
    return [f"{row.name} {row.value} instead of {full[row.name]}" for row in rows if row.value != full[row.name]]


def _is_length(name: str) -> bool:
    return name == "phases.scale" or name.startswith("phases.") and name.endswith("_aeons")


def different_rules(parameters: Parameters, other: Parameters) -> list[str]:
    """Parameters in which two trials differ, those of recording aside: "name: here, there"."""
    return [line for line in parameters.differences(other) if not line.startswith(FREE_GROUP)]


def command_options(parameters: Parameters) -> list[str]:
    """Options of the command line that give these parameters, recording aside: "--preset quick", "--set sleep.pulse=0.03"."""
    usual = {row.name: row.value for row in preset(parameters.preset).rows()}
    changed = [row for row in parameters.rows() if not row.name.startswith(FREE_GROUP) and row.value != usual[row.name]]
    return [f"--preset {parameters.preset}", *(f"--set {row.name}={row.value}" for row in changed)]
