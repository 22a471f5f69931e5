"""The language of protocols: from a text to what it says, and back. The grammar stands in docs/protocols.md.

Nothing is known here of parameters but the names of the tasks; phases are made of it in building.py.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from foraging_snn.models.parameters import MAX_AEONS
from foraging_snn.protocols.definitions import ExperimentError

MAX_CHARACTERS = 20_000
MAX_STEPS = 100
MAX_BLOCKS = 20
MAX_BLOCK_EPOCHS = 1_000_000
MAX_PATTERNS = 100_000
SHOWN = 30  # characters of the text on each side of a mistake

KEYWORDS = ("I", "S", "uniform", "freeze", "dropout", "test", "unsupervised", "naive", "rates", "patterns", "selective")
TOKEN = re.compile(r'\s*(->|[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|[A-Za-z_]\w*|"[^"]*"|$|.)', re.DOTALL)
VALUE = re.compile(r"[^,}]*")  # of a parameter
OF_NOTHING = ("freeze", "naive")  # steps that are no phase


class ProtocolError(ExperimentError):
    """A text is no protocol; the message is one line that names the place and what was expected there."""

    def __init__(self, text: str, at: int, problem: str):
        start, end = max(0, at - SHOWN), min(len(text), at + SHOWN)
        shown = f"{'...' if start else ''}{' '.join(text[start:end].split())}{'...' if end < len(text) else ''}"
        super().__init__(f"protocol {shown!r}, character {at + 1}: {problem}")


@dataclass(frozen=True)
class ParsedSleep:
    """What is said of sleep: "uniform S", "S(T1:0.8,T2:0.2)", "S(patterns=500,selective)", "S(rates=[T2])".

    Attributes
    ----------
    uniform : bool
    cue : tuple of (str, float)
        Tasks with weights.
    patterns : int
        Number of stored patterns; 0: rates.
    selective : bool
        Of rewarded epochs only.
    rates : tuple of ParsedStep, str or None
        From where the rates are: a branch, from the start of the trial, or a state in a file.
    """

    uniform: bool = False
    cue: tuple[tuple[str, float], ...] = ()
    patterns: int = 0
    selective: bool = False
    rates: "tuple[ParsedStep, ...] | str | None" = None

    def __str__(self) -> str:
        options = [task if weight == 1.0 else f"{task}:{weight:.12g}" for task, weight in self.cue]
        options += [f"patterns={self.patterns}"] if self.patterns else []
        options += ["selective"] if self.selective else []
        if self.rates is not None:
            options.append(f'rates="{self.rates}"' if isinstance(self.rates, str) else f"rates=[{as_text(self.rates)}]")
        return f"{'uniform ' if self.uniform else ''}S{_in_brackets(','.join(options))}"

    @property
    def name(self) -> str:
        """In the name of a phase: all but where the rates are from."""
        return str(replace(self, rates=None))


@dataclass(frozen=True)
class ParsedBlock:
    """A block of a phase: training on a task, or sleep; `epochs` None: as the parameters say."""

    what: str | ParsedSleep
    epochs: int | None = None
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return str(self.what) if self.epochs is None else f"{self.what}:{self.epochs}"

    @property
    def name(self) -> str:
        """In the name of a phase."""
        return self.what if isinstance(self.what, str) else self.what.name


@dataclass(frozen=True)
class ParsedStep:
    """A step of a protocol.

    Attributes
    ----------
    kind : str
        "train", "sleep", "interleaved", "test", "freeze", "dropout", "unsupervised" or "naive".
    blocks : tuple of ParsedBlock
        One, or those of an interleaved phase as they are written.
    percent : float
        Frozen.
    aeons : int or None
        Its length; None: as the parameters say.
    changes : tuple of (str, str)
        Names and values of the parameters that are changed in it, by name.
    at : int
        Where it begins in the text, from 0.
    """

    kind: str
    blocks: tuple[ParsedBlock, ...] = ()
    percent: float = 0.0
    aeons: int | None = None
    changes: tuple[tuple[str, str], ...] = ()
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        changes = ",".join(f"{name}={value}" for name, value in self.changes)
        length = f"[{self.aeons}]" if self.aeons is not None else ""
        return f"{self._core}{length}{f'{{{changes}}}' if changes else ''}"

    @property
    def _core(self) -> str:
        blocks = ",".join(map(str, self.blocks))
        if self.kind in ("train", "sleep"):
            return blocks
        if self.kind == "freeze":
            return f"freeze({self.percent:.12g}%)"
        return f"{'I' if self.kind == 'interleaved' else self.kind}{_in_brackets(blocks)}"

    @property
    def name(self) -> str:
        """Of the phase, as shown in tables and files: without lengths and parameters."""
        names = ",".join(block.name for block in self.blocks)
        if self.kind == "interleaved":
            return f"I({names})"
        return names if self.kind in ("train", "sleep") else f"{self.kind} {names}".strip()


def _in_brackets(text: str) -> str:
    return f"({text})" if text else ""


def as_text(steps: Iterable[ParsedStep]) -> str:
    """The text of a protocol, written in one way."""
    return " -> ".join(map(str, steps))


def tasks_named(steps: Iterable[ParsedStep]) -> set[str]:
    """Names of all tasks in a protocol, those of cues and of branches included."""
    found: set[str] = set()
    for block in (block for step in steps for block in step.blocks):
        if isinstance(block.what, str):
            found.add(block.what)
        else:
            found |= {task for task, _ in block.what.cue}
            found |= set() if block.what.rates is None or isinstance(block.what.rates, str) else tasks_named(block.what.rates)
    return found


@lru_cache(maxsize=1000)
def parse(text: str, tasks: tuple[str, ...]) -> tuple[ParsedStep, ...]:
    """What a text says.

    Parameters
    ----------
    text : str
    tasks : tuple of str
        Names of the tasks there are.

    Raises
    ------
    ProtocolError
        It is no protocol.
    ExperimentError
        It is too long, or a task has a name that means something else.
    """
    if taken := [name for name in tasks if name in KEYWORDS]:
        raise ExperimentError(f"tasks.{taken[0]}: a task of this name given, allowed are names other than {', '.join(KEYWORDS)}")
    if (n := text.count("->") + 1) > MAX_STEPS:
        raise ExperimentError(f"protocol: {n:,} steps given, allowed are at most {MAX_STEPS}")
    if len(text) > MAX_CHARACTERS:
        raise ExperimentError(f"protocol: {len(text):,} characters given, allowed are at most {MAX_CHARACTERS:,}")
    return _Parser(text, tasks).whole()


class _Parser:
    """Recursive descent: a method for each rule of the grammar. A token is its text and where it begins."""

    def __init__(self, text: str, tasks: Collection[str]):
        self.text, self.tasks = text, tasks
        self._in_rates = False
        self._go_to(0)

    def _go_to(self, at: int) -> None:
        match = TOKEN.match(self.text, at)
        assert match  # it takes any character, and the end
        self.token, self.at, self._end = match[1], match.start(1), match.end()

    def _take(self) -> str:
        token = self.token
        self._go_to(self._end)
        return token

    def _taken(self, token: str) -> bool:
        """Whether this token comes now; then it is taken."""
        return self.token == token and bool(self._take())

    def _need(self, token: str, expected: str = "") -> None:
        if not self._taken(token):
            raise self._expected(expected or f"'{token}'")

    def _expected(self, what: str) -> ProtocolError:
        return self._problem(f"{f'{self.token!r} found' if self.token else 'the text ends'}, expected {what}")

    def _problem(self, what: str, at: int | None = None) -> ProtocolError:
        return ProtocolError(self.text, self.at if at is None else at, what)

    @property
    def _a_task(self) -> str:
        return f"a task ({', '.join(self.tasks)})"

    # ------------------------------------------------------------------------------------------------------------ rules

    def whole(self) -> tuple[ParsedStep, ...]:
        steps = self._protocol()
        if self.token:
            raise self._expected("'->' or the end")
        return steps

    def _protocol(self) -> tuple[ParsedStep, ...]:
        steps = [self._step(is_first=True)]
        while self._taken("->"):
            if steps[-1].kind == "dropout":
                raise self._problem("a step after dropout given, allowed is dropout at the end, as it leaves no hidden cell")
            steps.append(self._step(is_first=False, after=steps[-1]))
        if steps[-1].kind == "freeze":
            raise self._expected("'->' and a training or sleep, in which the synapses are frozen")
        return tuple(steps)

    def _step(self, is_first: bool, after: ParsedStep | None = None) -> ParsedStep:
        at = self.at
        step = replace(self._core(is_first), at=at)
        if after and after.kind == "freeze" and step.kind not in ("train", "sleep", "interleaved"):
            raise self._problem(f"{step.kind} found, expected a training or sleep after freeze", at)
        if step.kind in OF_NOTHING:
            return step
        while self.token in ("[", "{"):
            if self.token == "[" and step.aeons is None:
                step = replace(step, aeons=self._length())
            elif self.token == "{" and not step.changes:
                step = replace(step, changes=self._changes())
            else:
                raise self._problem(f"a second {'length' if self.token == '[' else 'list of parameters'} given, allowed is one")
        return step

    def _core(self, is_first: bool) -> ParsedStep:
        if self.token in ("S", "uniform"):
            return ParsedStep("sleep", (self._block(),))
        if self.token in self.tasks:
            return ParsedStep("train", (self._block(),))
        at, first = self.at, ", unsupervised, naive" if is_first else ""
        if self.token not in ("I", "freeze", "dropout", "test", *(("unsupervised", "naive") if is_first else ())):
            if self.token in ("unsupervised", "naive"):
                raise self._problem(f"{self.token} found after other steps, allowed is {self.token} at the beginning")
            raise self._expected(f"{self._a_task}, I(...), S, uniform S, freeze(...%), dropout, test(...){first}")
        kind = self._take()
        if kind == "I":
            return ParsedStep("interleaved", self._blocks())
        if kind == "freeze":
            return ParsedStep(kind, percent=self._percent())
        if kind == "test" or (kind == "dropout" and self.token == "("):
            self._need("(")
            block = ParsedBlock(self._task(), at=at)
            self._need(")")
            return ParsedStep(kind, (block,))
        return ParsedStep(kind)

    def _task(self) -> str:
        if self.token not in self.tasks:
            raise self._expected(self._a_task)
        return self._take()

    def _blocks(self) -> tuple[ParsedBlock, ...]:
        self._need("(", "'(' and two or more blocks, as I(S,T1)")
        blocks = [self._block(with_epochs=True)]
        while self._taken(","):
            if len(blocks) == MAX_BLOCKS:
                raise self._problem(f"more than {MAX_BLOCKS} blocks given, allowed are at most {MAX_BLOCKS}")
            blocks.append(self._block(with_epochs=True))
        if len(blocks) == 1:
            raise self._expected("',' and a second block")
        self._need(")", "',' or ')'")
        return tuple(blocks)

    def _block(self, with_epochs: bool = False) -> ParsedBlock:
        at = self.at
        if self.token in ("S", "uniform"):
            what: str | ParsedSleep = self._sleep()
        elif self.token in self.tasks:
            what = self._take()
        else:
            raise self._expected(f"{self._a_task}, S, uniform S")
        epochs = self._whole_number("epochs", MAX_BLOCK_EPOCHS) if with_epochs and self._taken(":") else None
        return ParsedBlock(what, epochs, at)

    def _sleep(self) -> ParsedSleep:
        sleep = ParsedSleep(uniform=self._taken("uniform"))
        self._need("S")
        if self._taken("("):
            sleep = self._sleep_option(sleep)
            while self._taken(","):
                sleep = self._sleep_option(sleep)
            self._need(")", "',' or ')'")
        if sleep.selective and not sleep.patterns:
            raise self._problem("selective given without patterns, allowed is S(patterns=N,selective)")
        return sleep

    def _sleep_option(self, sleep: ParsedSleep) -> ParsedSleep:
        if self.token in self.tasks:
            if self.token in dict(sleep.cue):
                raise self._problem(f"task {self.token} given twice, allowed is each once")
            task = self._take()
            return replace(sleep, cue=(*sleep.cue, (task, self._weight() if self._taken(":") else 1.0)))
        if (self.token == "patterns" and sleep.patterns) or (self.token == "rates" and sleep.rates is not None):
            raise self._problem(f"{self.token} given twice, allowed is once")
        if self._taken("patterns"):
            self._need("=")
            return replace(sleep, patterns=self._whole_number("patterns", MAX_PATTERNS))
        if self._taken("selective"):
            return replace(sleep, selective=True)
        if self._taken("rates"):
            self._need("=")
            return replace(sleep, rates=self._rates())
        raise self._expected(f'{self._a_task}, patterns=N, selective, rates=[...], rates="FILE@PHASE"')

    def _rates(self) -> tuple[ParsedStep, ...] | str:
        if self._in_rates:
            raise self._problem("rates of a branch that itself takes rates given, allowed is one without")
        if self.token.startswith('"') and len(self.token) > 2:
            return self._take()[1:-1]
        self._need("[", 'a branch of the trial, as [T2], or a state, as "FILE@T2"')
        self._in_rates = True
        branch = self._protocol()
        self._in_rates = False
        self._need("]", "'->' or ']'")
        return branch

    def _length(self) -> int:
        self._need("[")
        aeons = self._whole_number("aeons", MAX_AEONS)
        self._need("]")
        return aeons

    def _changes(self) -> tuple[tuple[str, str], ...]:
        self._need("{")
        changes = [self._change()]
        while self._taken(","):
            if self.token in dict(changes):
                raise self._problem(f"{self.token} given twice")
            changes.append(self._change())
        self._need("}", "',' or '}'")
        return tuple(sorted(changes))

    def _change(self) -> tuple[str, str]:
        name = re.compile(r"[A-Za-z_][\w.]*").match(self.text, self.at)
        if not name:
            raise self._expected("a parameter, as reward.punished=-0.5")
        self._go_to(name.end())
        if self.token != "=":
            raise self._expected("'='")
        value = VALUE.match(self.text, self._end)
        assert value  # it can be empty
        self._go_to(value.end())
        if not value[0].strip():
            raise self._expected(f"a value of {name[0]}")
        return name[0], value[0].strip()

    # ---------------------------------------------------------------------------------------------------------- numbers

    def _whole_number(self, of: str, most: int) -> int:
        sign = "-" if self.token == "-" else ""
        at = self.at
        if sign:
            self._take()
        if not self.token[:1].isdecimal():
            raise self._expected(f"a whole number of {of}")
        token = self._take()
        if sign or not token.isdecimal() or len(token) > 18 or not 1 <= int(token) <= most:
            raise self._problem(f"{sign}{token} {of} given, allowed is a whole number from 1 to {most:,}", at)
        return int(token)

    def _number(self, what: str) -> float:
        if not self.token[:1].isdecimal():
            raise self._expected(what)
        return float(self._take())

    def _weight(self) -> float:
        at, weight = self.at, self._number("a weight, a number above 0")
        if not 0.0 < weight < 1e9:
            raise self._problem(f"weight {weight:g} given, allowed is a number above 0", at)
        return weight

    def _percent(self) -> float:
        self._need("(", "'(' and a percentage, as freeze(5%)")
        at, percent = self.at, self._number("a percentage, as 5%")
        if not 0.0 < percent < 100.0:
            raise self._problem(f"{percent:g} % given, allowed is a number above 0 and below 100", at)
        self._need("%")
        self._need(")")
        return percent
