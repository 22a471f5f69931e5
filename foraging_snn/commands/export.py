"""What `list`, `parameters` and `info` say, for programs: JSON, and TOML with comments. For people, terminal.py says it.

The keys of the JSON are described in docs/file_format.md and stay; numbers are numbers, what there is not is null. All text is
ASCII with escapes, so that a label with control characters does nothing to a terminal.
"""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foraging_snn.analysis.basins import returns
from foraging_snn.environments import PARTICLES, TASKS
from foraging_snn.files.landscapes import Basins, Evaluation, Landscape, Paths, Source
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import SavedState
from foraging_snn.models import PRESETS, Parameters, preset
from foraging_snn.protocols import experiments
from foraging_snn.running.existing import phases_to_run

KINDS_OF_TABLES = {"particles": "A type of particle.", "tasks": "A task."}
FURTHER_TABLES = (
    f"Types of particle in the package: {', '.join(PARTICLES)}; others, in squares to the right and upwards from the first:",
    "[particles.corner]",
    "offsets = [[0, 0], [1, 0], [1, 1]]",
    f"Tasks in the package: {', '.join(TASKS)}; others:",
    "[tasks.T7]",
    'rewarded = ["corner"]',
    'punished = ["horizontal"]',
)


def as_json(content: dict[str, Any]) -> str:
    """JSON text, ASCII only."""
    return json.dumps(content, indent=2, ensure_ascii=True, allow_nan=False).replace("\x7f", r"\u007f")


def experiments_for_programs(parameters: Parameters) -> dict[str, Any]:
    """The catalogue: `preset`, `epochs_per_aeon`, `experiments`."""
    rows = []
    for row in experiments(parameters).values():
        paper = [asdict(value) for value in row.published] if row.published else [None, None]
        rows.append(
            {
                "name": row.name,
                "label": row.label,
                "protocol": row.text,
                "figure": row.figure,
                "paper": {"task_1": paper[0], "task_2": paper[1]},
                "epochs": sum(phase.epochs for phase in phases_to_run(row, started=False)),
                "phases": [{"name": phase.name, "epochs": phase.epochs} for phase in row.phases],
            }
        )
    return {"preset": parameters.preset, "epochs_per_aeon": parameters.timing.epochs_per_aeon, "experiments": rows}


def parameters_for_programs(parameters: Parameters) -> dict[str, Any]:
    """All parameters: `preset`, `parameters`; each with the value of the preset and of the preset "full"."""
    named, full = (preset(name).values() for name in (parameters.preset, "full"))
    rows = [row._asdict() | {"preset_value": named.get(row.name), "full_value": full.get(row.name)} for row in parameters.rows()]
    return {"preset": parameters.preset, "parameters": rows}


def trial_for_programs(trial: Trial) -> dict[str, Any]:
    """Everything about a trial but its arrays."""
    return {
        "kind": "trial",
        "file": str(trial.path),
        "experiment": trial.experiment,
        "label": trial.label,
        "protocol": trial.protocol or None,
        "complete": trial.complete,
        "started": trial.started,
        "ended": trial.ended or None,
        "seed": trial.seed,
        "trial": trial.trial,
        "started_from": trial.started_from,
        "started_from_provenance": trial.started_from_provenance,
        "provenance": trial.provenance,
        "parameters": trial.parameters.model_dump(),
        "phases": [
            {
                "name": phase.name,
                "activities": [activity.name for activity in phase.activities],
                "first_epoch": phase.first_epoch,
                "epochs": phase.epochs,
                "epochs_done": phase.epochs_done,
                "complete": phase.complete,
                "changes": dict(phase.changes),
            }
            for phase in trial.phases
        ],
        "states": trial.states,
        "tests": [
            {
                "after": test.after or None,
                "task": test.task,
                "rewarded": test.rewarded,
                "punished": test.punished,
                "performance": None if math.isnan(test.performance) else test.performance,
                "complete": test.complete,
            }
            for test in trial.test_results()
        ],
    }


def state_for_programs(path: Path, saved: SavedState) -> dict[str, Any]:
    """Everything about a saved state but its arrays."""
    return {
        "kind": "state",
        "file": str(path),
        "note": saved.note,
        "sha256": saved.sha256,
        "seed": saved.state.seed,
        "epochs": saved.state.epoch,
        "provenance": saved.provenance,
        "parameters": saved.parameters.model_dump(),
    }


def landscape_for_programs(path: Path, landscape: Landscape) -> dict[str, Any]:
    """A landscape but for its map and its arrays of strengths."""
    states, tested = landscape.states, landscape.states.tested
    return {
        "kind": "landscape",
        "file": str(path),
        **_of_source(landscape.source),
        "axes": landscape.kind,
        "points": [len(landscape.x), len(landscape.y)],
        "epochs": int(landscape.tested.counts["epochs"].flat[0]),
        "resistances_of": landscape.reference,
        "states": [
            {"name": name, "distance": float(states.distance[k]), "tests": _tests_of(tested[k])}
            for k, name in enumerate(states.names)
        ],
    }


def paths_for_programs(path: Path, paths: Paths) -> dict[str, Any]:
    """The lines of a file of paths, each with the tests of its points; barriers are in the table."""
    ends = zip(paths.starts, paths.ends, paths.length.tolist(), strict=True)
    return {
        "kind": "paths",
        "file": str(path),
        **_of_source(paths.source),
        "epochs": int(paths.tested.counts["epochs"].flat[0]),
        "share": paths.share.tolist(),
        "lines": [
            {
                "start": {"seed": start.seed, "state": start.state},
                "end": {"seed": end.seed, "state": end.state},
                "length": length,
                "tests": [_tests_of(paths.tested[k, m]) for m in range(len(paths.share))],
            }
            for k, (start, end, length) in enumerate(ends)
        ],
    }


def basins_for_programs(path: Path, basins: Basins) -> dict[str, Any]:
    """What became of perturbed networks, by phase that follows, task and radius."""
    rows = [
        {
            "then": row.phase,
            "task": row.task,
            "radius": row.radius,
            "distance": row.distance.tolist(),
            "epochs": row.epoch.tolist(),
            "performance": [[_number(value) for value in of_network] for of_network in row.performance.tolist()],
            "left": int(row.left.sum()),
            "back": int((row.left & row.back).sum()),
            "time": _number(row.time),
        }
        for row in returns(basins)
    ]
    return {"kind": "basins", "file": str(path), **_of_source(basins.source), "state": basins.state, "returns": rows}


def _of_source(source: Source) -> dict[str, Any]:
    return {
        "trials": source.files,
        "engine": source.engine,
        "seed": source.seed,
        "provenance": dict(source.provenance),
        "parameters": source.parameters.model_dump(),
    }


def _tests_of(tested: Evaluation) -> list[dict[str, Any]]:
    """Of one network, a test per task."""
    values = zip(tested.tasks, tested.performance.tolist(), tested.performance_error.tolist(), strict=True)
    return [{"task": task, "performance": _number(value), "error": _number(error)} for task, value, error in values]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def commented_toml(parameters: Parameters) -> str:
    """The parameters as TOML for an editor: above each what it means, its unit, source, and what is allowed.

    Read back, it is what :meth:`Parameters.to_toml` gives, which is what files hold.
    """
    rows = {row.name: row for row in parameters.rows()}
    lines = ["# The set that values which are not named here are taken from:"]
    lines += [f"# {name}: {words}" for name, (words, _) in PRESETS.items()]
    group = ""
    for line in parameters.to_toml().splitlines():
        if line.startswith("["):
            group = line.strip("[]").replace('"', "")
            what = KINDS_OF_TABLES.get(group.partition(".")[0]) or type(getattr(parameters, group)).__doc__
            lines += [line, f"# {what}"]
            continue
        row = rows.get(f"{group}.{line.partition(' = ')[0]}")
        if row:
            unit = f" [{row.unit}]" if row.unit else ""
            lines += ["", f"# {row.meaning}{unit}; source: {row.source}; allowed: {row.allowed}"]
        lines.append(line)
    lines += ["", *(f"# {line}" for line in FURTHER_TABLES)]
    return "\n".join(lines) + "\n"
