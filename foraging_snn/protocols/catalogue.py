"""Experiments by name and by text: the catalogue of the paper, files of protocols, and protocols of one's own.

The catalogue is data/catalogue.toml; files of users have the same form.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from foraging_snn.models import Parameters
from foraging_snn.models.parameters import UNREADABLE, toml_text
from foraging_snn.protocols.building import RatesOf, build, tasks_of, tested_tasks
from foraging_snn.protocols.definitions import Experiment, ExperimentError, PublishedValue
from foraging_snn.protocols.language import KEYWORDS, ParsedStep, as_text, parse

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
WORD = re.compile(r"[A-Za-z0-9_-]{1,100}")
LONGEST_LABEL = 200  # characters, in files
SLUG = 60  # characters of a name made of a text
TABLE = "experiments"
KEYS = {"name": str, "protocol": (str, list), "tests": list, "label": str}
KEYS_OF_CATALOGUE = KEYS | {"figure": str, "paper": dict}


@dataclass(frozen=True)
class _Row:
    """A row of a catalogue; what it lacks is empty, or None."""

    protocol: str
    name: str = ""
    tests: tuple[str, ...] | None = None
    label: str = ""
    figure: str = ""
    paper: tuple[PublishedValue, PublishedValue] | None = None


def experiments(parameters: Parameters) -> dict[str, Experiment]:
    """The catalogue: every experiment of the paper, by name, with phase lengths from `parameters`."""
    return {row.name: _made(row, parameters) for row in _catalogue()}


def experiment(name: str, parameters: Parameters) -> Experiment:
    """The experiment `name` of the catalogue.

    Raises
    ------
    ExperimentError
        Unknown name.
    """
    row = next((row for row in _catalogue() if row.name == name), None)
    if row is None:
        raise _unknown(name, parameters)
    return _made(row, parameters)


def protocol(
    text: str,
    parameters: Parameters,
    *,
    tests: Sequence[str] | None = None,
    name: str = "",
    rates_of: RatesOf | None = None,
) -> Experiment:
    """The experiment that a protocol describes, e.g. `protocol("T1 -> I(S,T2) -> T1", parameters)`.

    Parameters
    ----------
    text : str
        In the language of docs/protocols.md. One of the catalogue, or a name in it, gives that experiment, tests included.
    parameters : Parameters
        For the lengths that the text leaves open.
    tests : sequence of str, optional
        Names of the tasks that are tested after every training, interleaved and sleep phase; those that the text names if omitted.
    name : str, optional
        Of files; made of the text if omitted, another one for every protocol.
    rates_of : callable, optional
        Gives the step for rates="FILE@PHASE": :func:`foraging_snn.running.starting.rates_of`.

    Raises
    ------
    ExperimentError
        One line: what is wrong with the text, and where; an unknown task; a name that cannot be one of files or is the catalogue's.
    """
    return _of_user(_Row(text, name, None if tests is None else tuple(tests)), parameters, rates_of)


def _of_user(row: _Row, parameters: Parameters, rates_of: RatesOf | None) -> Experiment:
    if row.name and not NAME.fullmatch(row.name):
        allowed = "1 to 100 letters, digits and . _ + -, the first a letter or digit"
        raise ExperimentError(f"name: {row.name!r} given, allowed are {allowed}")
    of_paper = _row_of(row.protocol, parameters)
    if of_paper:
        known = _parsed(of_paper.protocol, parameters)
        tests = tested_tasks(known, parameters, of_paper.tests)
        row = replace(row, protocol=of_paper.protocol, tests=tests if row.tests is None else row.tests)
        if row.name in ("", of_paper.name) and tested_tasks(known, parameters, row.tests) == tests:
            return _made(of_paper, parameters)
    if row.name in _names():
        raise ExperimentError(f"name: {row.name!r} given, which is an experiment of the paper and another protocol")
    return _made(row, parameters, rates_of)


def protocols_of_file(path: str | Path, parameters: Parameters, rates_of: RatesOf | None = None) -> tuple[Experiment, ...]:
    """The experiments of a TOML file: one, or several in tables `[[experiments]]`, as docs/protocols.md describes it; `rates_of` as
    for :func:`protocol`.

    Raises
    ------
    ExperimentError
        It cannot be read, or is something else.
    """
    try:
        tree = tomllib.loads(toml_text(path))
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read: {error.strerror}") from None
    except UNREADABLE as error:
        raise ExperimentError(f"{path}: not readable as TOML: {error}") from None
    try:
        return tuple(_of_user(row, parameters, rates_of) for row in _rows(tree, KEYS))
    except ExperimentError as error:
        raise ExperimentError(f"{path}: {error}") from None


# ------------------------------------------------------------------------------------------------------- rows to experiments


def _made(row: _Row, parameters: Parameters, rates_of: RatesOf | None = None) -> Experiment:
    parsed = _parsed(row.protocol, parameters)
    tests = tested_tasks(parsed, parameters, row.tests)
    text = as_text(parsed)
    label = row.label or (text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 3]}...")
    name = row.name or _name_of(parsed, text, tests, tests == tested_tasks(parsed, parameters))
    steps = build(row.protocol, parsed, parameters, tests, rates_of)
    return Experiment(name, label, row.figure, steps, row.paper, text)


def _parsed(text: str, parameters: Parameters) -> tuple[ParsedStep, ...]:
    return parse(text, tuple(tasks_of(parameters)))


def _name_of(parsed: Sequence[ParsedStep], text: str, tests: Sequence[str], usual_tests: bool) -> str:
    """A name for files: the text itself if it is tasks only, else what is readable of it and a digest."""
    short = text.replace(" -> ", "-").replace(",", "+").replace("(", ".").replace(")", "")
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "_", short)[:SLUG]
    is_all = plain == short and all(step.kind == "train" for step in parsed)
    if is_all and usual_tests and plain not in _names():
        return plain
    digest = hashlib.sha256("\n".join([text, *tests]).encode()).hexdigest()
    return f"{plain}-{digest[:8]}"


def _row_of(text: str, parameters: Parameters) -> _Row | None:
    """The row of the catalogue with this name or this protocol."""
    word = text.strip()
    if word in _names():
        return next(row for row in _catalogue() if row.name == word)
    if WORD.fullmatch(word) and word not in (*KEYWORDS, *tasks_of(parameters)):
        raise _unknown(word, parameters)
    wanted = as_text(_parsed(text, parameters))
    return next((row for row in _catalogue() if row.protocol == wanted), None)


def _unknown(name: str, parameters: Parameters) -> ExperimentError:
    near = get_close_matches(name, _names(), n=1, cutoff=0.5)
    suggestion = f"; did you mean {near[0]}?" if near else ""
    protocols = f"a protocol of the tasks {', '.join(tasks_of(parameters))}, as 'T1 -> T2'"
    return ExperimentError(f"experiment: {name!r} given, allowed are {', '.join(_names())}, or {protocols}{suggestion}")


# ------------------------------------------------------------------------------------------------------------ files to rows


@cache
def _catalogue() -> tuple[_Row, ...]:
    text = (resources.files("foraging_snn") / "data" / "catalogue.toml").read_text(encoding="utf-8")
    return _rows(tomllib.loads(text), KEYS_OF_CATALOGUE)


@cache
def _names() -> tuple[str, ...]:
    return tuple(row.name for row in _catalogue())


def _rows(tree: Mapping[str, Any], keys: Mapping[str, Any]) -> tuple[_Row, ...]:
    tables = tree.get(TABLE, [tree])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables) or not tables:
        raise ExperimentError(f"{TABLE}: allowed are tables [[{TABLE}]]")
    if TABLE in tree and len(tree) > 1:
        raise ExperimentError(f"{next(key for key in tree if key != TABLE)}: given beside [[{TABLE}]], allowed is one or the other")
    rows = tuple(_row(table, keys) for table in tables)
    if twice := [row.name for n, row in enumerate(rows) if row.name and row.name in {other.name for other in rows[:n]}]:
        raise ExperimentError(f"name: {twice[0]!r} given twice, allowed is each once")
    return rows


def _row(table: Mapping[str, Any], keys: Mapping[str, Any]) -> _Row:
    for key, value in table.items():
        if key not in keys:
            raise ExperimentError(f"{key!r}: unknown, allowed are {', '.join(keys)}")
        if not isinstance(value, keys[key]) or (isinstance(value, list) and not all(isinstance(item, str) for item in value)):
            raise ExperimentError(f"{key}: {value!r} given, allowed is {'a list of names' if key == 'tests' else 'text'}")
    label = table.get("label", "")
    if not label.isprintable() or len(label) > LONGEST_LABEL:
        raise ExperimentError(f"label: {label[:SLUG]!r} given, allowed is one line of at most {LONGEST_LABEL} characters")
    if "protocol" not in table:
        raise ExperimentError('protocol: missing, allowed is a text such as "T1 -> T2", or a list of its steps')
    text, tests, paper = table["protocol"], table.get("tests"), table.get("paper")
    return _Row(
        " -> ".join(text) if isinstance(text, list) else text,
        table.get("name", ""),
        None if tests is None else tuple(tests),
        label,
        table.get("figure", ""),
        (PublishedValue(*paper["T1"]), PublishedValue(*paper["T2"])) if paper else None,
    )
