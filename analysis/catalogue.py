"""What the catalogue of experiments says of a recorded trial; the file itself says only its name, and may be of other phases."""

from foraging_snn.files.reader import Trial
from foraging_snn.protocols import PublishedValue, experiments


def published(trial: Trial) -> tuple[PublishedValue, PublishedValue] | None:
    """The paper's Task 1 and Task 2 performance in the tests after the last phase of its experiment; None if it gives none."""
    known = experiments(trial.parameters).get(trial.experiment)
    return known.published if known else None


def place_in_catalogue(trial: Trial) -> int:
    """Number of its experiment in the catalogue, which is in the paper's order; unknown ones come last."""
    names = list(experiments(trial.parameters))
    return names.index(trial.experiment) if trial.experiment in names else len(names)


def has_phases_of_catalogue(trial: Trial) -> bool:
    """Whether its phases have the names and activities of those of its experiment, the unsupervised one aside."""
    known = experiments(trial.parameters).get(trial.experiment)
    mine, theirs = (
        [(phase.name, phase.activities) for phase in phases if not phase.is_unsupervised]
        for phases in ([recorded.phase for recorded in trial.phases], known.phases if known else ())
    )
    return mine == theirs
