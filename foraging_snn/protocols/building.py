"""From what a protocol says to its phases: lengths, blocks, tests, what is changed in a phase. The text is read in language.py."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from foraging_snn.environments import Task
from foraging_snn.models import (
    Activity,
    Block,
    ParameterError,
    Parameters,
    Phase,
    keeping_patterns,
    unsupervised_particles,
    with_elastic,
)
from foraging_snn.protocols.definitions import ExperimentError, ImportRates, Step
from foraging_snn.protocols.language import ParsedBlock, ParsedSleep, ParsedStep, ProtocolError, tasks_named

MAX_NAME = 200  # characters of the name of a phase, in files
MAX_PHASES = 1_000
# What can be other in one phase than in the rest of a trial: whole groups of parameters, and single ones.
CHANGEABLE = ("synapse", "policy", "plasticity", "reward", "homeostasis", "sleep.pulse", "elastic")
RatesOf = Callable[[str], Step]
LENGTHS = {"sleep": "sleep", "interleaved": "interleaved", "test": "test", "dropout": "dropout", "unsupervised": "unsupervised"}


def tasks_of(parameters: Parameters) -> Mapping[str, Task]:
    """The tasks that a protocol can name, in their order."""
    return parameters.tasks


def unsupervised_activity(parameters: Parameters, names: Collection[str]) -> Activity:
    """The activity with which a protocol begins that trains or tests the tasks of these names."""
    return Activity.unsupervised(unsupervised_particles(parameters, [parameters.task(name) for name in names]))


def tested_tasks(parsed: Sequence[ParsedStep], parameters: Parameters, tests: Sequence[str] | None = None) -> tuple[str, ...]:
    """Names of the tasks that are tested, in the order of their table: those asked for; if none are, all that the protocol names.

    Raises
    ------
    ExperimentError
        An unknown name.
    """
    known = tasks_of(parameters)
    if tests is None:
        wanted = tasks_named(parsed)
    elif unknown := [name for name in tests if name not in known]:
        raise ExperimentError(f"tests: {unknown[0]!r} given, allowed are {', '.join(known)}, with commas between")
    else:
        wanted = set(tests)
    return tuple(name for name in known if name in wanted)


def build(
    text: str, parsed: Sequence[ParsedStep], parameters: Parameters, tests: Sequence[str], rates_of: RatesOf | None = None
) -> tuple[Step, ...]:
    """The steps of a protocol, from the start of the trial.

    Parameters
    ----------
    text : str
        For what is said of mistakes.
    parsed : sequence of ParsedStep
    parameters : Parameters
        For the lengths that the text leaves open.
    tests : sequence of str
        Names of the tasks that are tested after every training and sleep.
    rates_of : callable, optional
        Gives the step that takes over the rates of a state in a file.

    Raises
    ------
    ProtocolError
        A parameter that cannot be changed in a phase, or a kind of sleep that there is not.
    ExperimentError
        There are too many phases.
    """
    builder = _Builder(text, parameters, unsupervised_activity(parameters, {*tasks_named(parsed), *tests}), rates_of)
    steps = tuple(builder.steps(parsed, tests))
    try:
        steps = tuple(with_elastic(keeping_patterns(steps), parameters))
    except ValueError as error:
        raise ExperimentError(f"protocol: {error}") from None
    if len(steps) > MAX_PHASES:
        raise ExperimentError(f"protocol: {len(steps):,} phases, tests included, given, allowed are at most {MAX_PHASES:,}")
    return steps


@dataclass
class _Builder:
    text: str
    parameters: Parameters
    unsupervised: Activity
    rates_of: RatesOf | None = None
    learned: list[str] = field(default_factory=list)  # tasks trained so far, in their order

    def steps(self, parsed: Sequence[ParsedStep], tests: Sequence[str]) -> Iterator[Step]:
        begins = parsed[0].kind == "unsupervised"
        yield self._phase(parsed[0] if begins else ParsedStep("unsupervised"))
        was_trained, freeze = False, 0.0
        for step in parsed[1:] if begins else parsed:
            if step.kind == "naive":
                continue
            if step.kind == "freeze":
                freeze = step.percent / 100.0
                continue
            yield from self._imports(step)
            yield self._phase(step, "retraining" if was_trained else "training", freeze_fraction=freeze)
            freeze, was_trained = 0.0, was_trained or step.kind == "train"
            if step.kind in ("train", "sleep", "interleaved"):
                self.learned += [block.what for block in step.blocks if isinstance(block.what, str)]
                yield from (self._phase(ParsedStep("test", (ParsedBlock(name),))) for name in tests)

    def _phase(self, step: ParsedStep, training: str = "training", freeze_fraction: float = 0.0) -> Phase:
        name, blocks = step.name, step.blocks
        if step.kind == "dropout" and not blocks:
            if not self.learned:
                raise ProtocolError(self.text, step.at, "dropout before any training, expected a task to test, as dropout(T1)")
            blocks = (ParsedBlock(self.learned[-1]),)
            name = f"dropout {self.learned[-1]}"
        aeons = step.aeons or self.parameters.aeons(LENGTHS.get(step.kind, training))
        return Phase(
            name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 3]}...",
            tuple(self._blocks(step, blocks)),
            aeons * self.parameters.timing.epochs_per_aeon,
            freeze_fraction=freeze_fraction,
            dropout=step.kind == "dropout",
            changes=self._changes(step),
        )

    def _blocks(self, step: ParsedStep, blocks: Sequence[ParsedBlock]) -> Iterator[Block]:
        """In the order in which they take turns: as written, but sleep with which an interleaved phase begins comes last."""
        awake, asleep = self.parameters.phases.block_epochs, self.parameters.sleep.block_epochs
        if step.kind == "unsupervised":
            yield Block(self.unsupervised, awake)
        first = next((n for n, block in enumerate(blocks) if isinstance(block.what, str)), 0)
        for block in (*blocks[first:], *blocks[:first]):
            is_test = step.kind in ("test", "dropout")
            activity = self._sleep(block) if isinstance(block.what, ParsedSleep) else self._awake(block.what, is_test)
            yield Block(activity, block.epochs or (asleep if activity.is_sleep else awake))

    def _awake(self, name: str, is_test: bool) -> Activity:
        task = tasks_of(self.parameters)[name]
        return Activity.test(task) if is_test else Activity.train(task)

    def _sleep(self, block: ParsedBlock) -> Activity:
        sleep = block.what
        assert isinstance(sleep, ParsedSleep)
        tasks = tasks_of(self.parameters)
        cue = {tasks[name]: weight for name, weight in sleep.cue}
        try:
            return Activity.sleep(cue=cue or None, uniform=sleep.uniform, patterns=sleep.patterns, selective=sleep.selective)
        except ValueError as error:
            raise ProtocolError(self.text, block.at, str(error)) from None

    def _imports(self, step: ParsedStep) -> Iterator[Step]:
        """The rates that the sleep of a phase takes over: of all tasks that a branch trains, or of a state in a file."""
        for rates in dict.fromkeys(block.what.rates for block in step.blocks if isinstance(block.what, ParsedSleep)):
            if rates is None:
                continue
            if isinstance(rates, str):
                if self.rates_of is None:
                    raise ProtocolError(self.text, step.at, "rates of a file given without `rates_of`, allowed is rates=[...]")
                yield self.rates_of(rates)
                continue
            branch = _Builder(self.text, self.parameters, self.unsupervised)  # it begins as the trial itself
            steps = tuple(branch.steps(rates, ()))
            if not branch.learned:
                raise ProtocolError(
                    self.text, rates[0].at, "a branch without training given, allowed is one that trains a task, as [T2]"
                )
            known = list(tasks_of(self.parameters))
            yield from (ImportRates(known.index(name) + 1, steps) for name in dict.fromkeys(branch.learned))

    def _changes(self, step: ParsedStep) -> tuple[tuple[str, Any], ...]:
        """Parameters that are changed in a phase, with values of their types."""
        known = self.parameters.values()
        for name, value in step.changes:
            at = max(step.at, self.text.find(name, step.at))
            if name in known and name not in CHANGEABLE and name.partition(".")[0] not in CHANGEABLE:
                allowed = ", ".join(group if "." in group else f"{group}.*" for group in CHANGEABLE)
                raise ProtocolError(self.text, at, f"{name} given, which holds for a whole trial; allowed in a phase are {allowed}")
            try:
                self.parameters.with_changes({name: value})
            except ParameterError as error:
                raise ProtocolError(self.text, at, str(error)) from None
        if not step.changes:
            return ()
        try:
            changed = self.parameters.with_changes(dict(step.changes))
        except ParameterError as error:
            raise ProtocolError(self.text, step.at, str(error)) from None
        values = changed.values()
        return tuple((name, values[name]) for name, _ in step.changes)
