"""What an experiment is: a sequence of phases that branches off a shared trunk.

Experiments with the same first steps share them: a trial trains Task 1 once and branches from that state.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from foraging_snn.models import NetworkState, Phase


class ExperimentError(ValueError):
    """Unknown experiment, or one that cannot be; the message is one line."""


@dataclass(frozen=True)
class ImportRates:
    """Take over the hidden spike counts of a task from another experiment of the same trial, for use as sleep noise.

    Parameters
    ----------
    task : int
        Its number, from 1.
    steps : tuple
        The steps, from the start of the trial, after which the counts are taken.
    """

    task: int
    steps: tuple["Step", ...]


@dataclass(frozen=True)
class RatesOfState:
    """Take over the hidden spike counts of all tasks from a state of the same network, for use as sleep noise.

    Parameters
    ----------
    source : str
        Where the state comes from, in words: it goes into files.
    sha256 : str
        Its digest. Two of these are the same if their digests are.
    state : NetworkState
    """

    source: str = field(compare=False)
    sha256: str
    state: NetworkState = field(compare=False, repr=False)

    def __str__(self) -> str:
        """The source, and the beginning of the digest."""
        return f"{self.source} [{self.sha256[:12]}]"


Step = Phase | ImportRates | RatesOfState


@dataclass(frozen=True)
class PublishedValue:
    """Performance in the paper: mean and standard deviation over trials."""

    mean: float
    sd: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.sd:.2f}"


@dataclass(frozen=True)
class Experiment:
    """A protocol for given parameters, in the catalogue or not.

    Attributes
    ----------
    name : str
        On the command line, and of files.
    label : str
        As in the paper, e.g. "T1 -> T2 -> I(S,T1)".
    figure : str
        Figure of the paper; "" if there is none.
    steps : tuple of Phase, ImportRates or RatesOfState
        From the start of the trial, tests included.
    published : tuple of two PublishedValue, or None
        Task 1 and Task 2 performance after the last phase.
    text : str
        The protocol as it is written in the language of docs/protocols.md; "" if the phases were put together by hand.
    """

    name: str
    label: str
    figure: str
    steps: tuple[Step, ...]
    published: tuple[PublishedValue, PublishedValue] | None = None
    text: str = ""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Its phases in order."""
        return tuple(step for step in self.steps if isinstance(step, Phase))


def rates_before(steps: Sequence[Step]) -> str:
    """From which states the rates come with which the last of these steps begins; "" if from none."""
    before = takewhile(lambda step: not isinstance(step, Phase), reversed(steps[:-1]))
    return ", ".join(reversed([str(step) for step in before if isinstance(step, RatesOfState)]))
