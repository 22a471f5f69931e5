"""Rules between epochs: what is done to a state every so many epochs, in Python, whatever the engine.

A rule is a frozen dataclass that inherits from :class:`Rule`; its fields are its parameters. It takes part in a run by standing in
the rules of a phase, and all that it remembers lies in the state:

    @dataclass(frozen=True)
    class Decay(Rule):
        rate: float = 1e-3

        def apply(self, state, phase, parameters):
            state.hidden_output *= 1.0 - self.rate

    phase = Phase("T1", (Block(Activity.train("T1"), 100),), 200_000, rules=(Decay(rate=1e-4),))

Engines know nothing of rules: `Engine.run` takes the state from them between epochs, hands it to the rule and loads it again. What
the package brings along is in models/elastic.py.
"""

import hashlib
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from foraging_snn.models import rules as model
from foraging_snn.models.parameters import Parameters

if TYPE_CHECKING:
    from foraging_snn.models.phases import Phase
    from foraging_snn.models.state import NetworkState

SOURCE_DIGITS = 16  # of the digest of a rule's source text
PLAIN = (bool, int, float, str)  # what a parameter of a rule can be


@dataclass(frozen=True)
class AppliedRule:
    """A rule as a phase, a key of the ledger and a file name it: two are the same if they do the same.

    Attributes
    ----------
    name : str
    parameters : tuple of pairs of a name and a value
    source : str
        Beginning of the SHA-256 of the source text of the rule's class.
    rule : Rule or None
        What is called; None if it was read from a file.
    """

    name: str
    parameters: tuple[tuple[str, bool | int | float | str], ...]
    source: str
    rule: "Rule | None" = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        """As in tables and on the screen: "elastic(strength=0.01) [source 0123456789abcdef]"."""
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.parameters)}) [source {self.source}]"


@dataclass(frozen=True)
class Rule:
    """Something that is done to the state between epochs. This one does nothing; inherit from it and override what you need.

    The three methods change the state that they are given; all of it can be read and changed except seed and epochs. Strengths
    from hidden to output cells that a rule has changed are clipped and scaled as the model does after a plasticity event, and
    frozen ones put back. What a rule needs again later it keeps in :meth:`rows`, never in itself.

    Attributes
    ----------
    name : str
        Of the class if it is left empty.
    every : int
        `apply` is called each time so many epochs of the phase are over.
    memory : tuple of str
        Names of what it remembers: for each there is a number per synapse from hidden to output cells, 0 at first.
    """

    name: ClassVar[str] = ""
    every: ClassVar[int] = 100
    memory: ClassVar[tuple[str, ...]] = ()

    def begin(self, state: "NetworkState", phase: "Phase", parameters: Parameters) -> None:
        """The phase begins."""

    def apply(self, state: "NetworkState", phase: "Phase", parameters: Parameters) -> None:
        """A multiple of `every` epochs of the phase are over, `state.phase_epoch` of them."""

    def end(self, state: "NetworkState", phase: "Phase", parameters: Parameters) -> None:
        """The phase is over; `apply` was called before if it was due."""

    def rows(self, state: "NetworkState") -> dict[str, np.ndarray]:
        """What it remembers in a state, by name: arrays (hidden, output) of float64 that can be changed in place."""
        labels = state.memory_label.tolist()
        return {row: state.memory[labels.index(self._label(row))] for row in self.memory}

    def _label(self, row: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.applied.name}/{row}".encode()).digest()[:8], "big") >> 1

    @cached_property
    def applied(self) -> AppliedRule:
        """How a phase names it; ValueError, one line, if it cannot be named."""
        name = self.name or type(self).__name__
        every = self.every
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ValueError(f"rule {name}: every {every!r} epochs given, allowed is a whole number from 1")
        values = tuple((each.name, getattr(self, each.name)) for each in fields(self))
        if wrong := [f"{key}={value!r}" for key, value in values if type(value) not in PLAIN]:
            raise ValueError(f"rule {name}: {wrong[0]} given, allowed are numbers, true or false, and text")
        return AppliedRule(name, values, _source_digest(name, type(self)), self)


def _source_digest(name: str, rule: type) -> str:
    """Of the source text of the class of a rule, and of the classes between it and Rule."""
    digest = hashlib.sha256()
    for cls in rule.__mro__[: rule.__mro__.index(Rule)]:
        try:
            digest.update(_source(cls).encode())
        except (OSError, TypeError):
            raise ValueError(f"rule {name}: the source text of {cls.__name__} is not to be found; define it in a file") from None
    return digest.hexdigest()[:SOURCE_DIGITS]


def _source(cls: type) -> str:
    """Source text of a class; in a notebook, where classes have none, of its functions."""
    try:
        return textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):
        own = [value for name, value in vars(cls).items() if inspect.isfunction(value) and not name.startswith("__")]
        if not own:
            raise
        return "".join(textwrap.dedent(inspect.getsource(function)) for function in own)


def rule_of(applied: AppliedRule, packaged: Mapping[str, type[Rule]]) -> Rule:
    """What is to be called for a rule of a phase; one that was read from a file is looked up among those of the package.

    Raises
    ------
    ValueError
        It is not there, or is not the same any more.
    """
    if applied.rule is not None:
        return applied.rule
    if applied.name not in packaged:
        raise ValueError(f"rule {applied.name}: not one of the package ({', '.join(packaged)}); put the rule itself into the phase")
    found = packaged[applied.name](**dict(applied.parameters))
    if found.applied != applied:
        raise ValueError(f"rule {applied.name}: another than here, {found.applied}: {applied}")
    return found


def give_memory(state: "NetworkState", rule: Rule) -> None:
    """Make room in a state, which is changed, for what a rule remembers; what is there stays."""
    there = set(state.memory_label.tolist())
    new = [label for label in map(rule._label, rule.memory) if label not in there]
    state.memory_label = np.append(state.memory_label, np.array(new, np.int64))
    state.memory = np.append(state.memory, np.zeros((len(new), *state.hidden_output.shape)), axis=0)


def call(rule: Rule, moment: str, state: "NetworkState", phase: "Phase", parameters: Parameters) -> None:
    """Call `begin`, `apply` or `end` of a rule on a state, and see that what it leaves can be gone on with.

    Raises
    ------
    ValueError
        Seed or epochs are others than before.
    """
    before, numbers = state.hidden_output.copy(), (state.seed, state.epoch, state.phase_epoch)
    getattr(rule, moment)(state, phase, parameters)
    if (state.seed, state.epoch, state.phase_epoch) != numbers:
        raise ValueError("it changed the seed or the number of epochs")
    if not np.array_equal(before, state.hidden_output):
        _bring_into_bounds(state, before, parameters)


def _bring_into_bounds(state: "NetworkState", before: np.ndarray, parameters: Parameters) -> None:
    """What the model does with strengths after a plasticity event."""
    numbers = model.Rules.of(parameters)
    W = np.clip(state.hidden_output, numbers.min_strength, numbers.max_strength)
    W = np.ascontiguousarray(np.where(state.frozen, before, W), np.float64)
    model.scale_hidden_output(W.reshape(-1), state.frozen.reshape(-1), numbers)
    model.balance_outputs(W.reshape(-1), state.frozen.reshape(-1), state.hidden_output_total, state.inhibition)
    state.hidden_output = W


def rules_from_json(entries: Any) -> tuple[AppliedRule, ...]:
    """Rules as :func:`rules_to_json` gave them; ValueError if they are damaged."""
    try:
        return tuple(AppliedRule(str(e["name"]), tuple(e["parameters"].items()), str(e["source"])) for e in entries)
    except (TypeError, KeyError, AttributeError):
        raise ValueError("rules are not a list of names, parameters and digests of sources") from None


def rules_to_json(applied: tuple[AppliedRule, ...]) -> list[dict[str, Any]]:
    """Rules in plain dictionaries, as files have them."""
    return [{"name": each.name, "parameters": dict(each.parameters), "source": each.source} for each in applied]
