"""What the sleep of trials replays, as a table; computed by the figure on replay, kept once it was computed."""

from typing import Any

from foraging_snn.analysis.figures.replay import sleep_content
from foraging_snn.commands.evaluating import trained_tasks
from foraging_snn.commands.explorer.contents import ExploredTrial

Columns = dict[str, Any]
NOTHING: Columns = {"name": [], "aeon": [], "task1": [], "task2": []}


def has_replay(trial: ExploredTrial) -> bool:
    """Whether both tasks of the paper were learned, sleep was interleaved with one, and spikes were recorded."""
    of = trial.trial
    interleaved = [p for p in of.phases if len(p.activities) == 2 and any(a.is_sleep for a in p.activities)]
    if not interleaved or not of.parameters.recording.spike_window_epochs or trained_tasks([of]) != ("T1", "T2"):
        return False
    return all(of.windows(phase.index) for phase in of.phases if not (phase.phase.is_test or phase.phase.is_unsupervised))


def with_trial(table: Columns, trial: ExploredTrial) -> Columns:
    """The table with a row for a trial, empty where there is nothing to say."""
    if trial.name in table["name"]:
        return table
    aeon, values = [], [[], []]
    if has_replay(trial):
        content = sleep_content(trial.trial)
        aeon, values = content.aeon.tolist(), content.resemblance.tolist()
    row = {"name": trial.name, "aeon": aeon, "task1": values[0], "task2": values[1]}
    return {name: [*cells, row[name]] for name, cells in table.items()}
