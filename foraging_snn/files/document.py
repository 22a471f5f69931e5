"""Writes the tables of docs/file_format.md from the schema: `python -m foraging_snn.files.document`; a test sees that it was done.

The text between them is written by hand.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from foraging_snn.files.layout import AEONS, FIXED, INPUT_SNAPSHOTS, PHASES, POSITIONS, SNAPSHOTS, SPIKES, TABLES, TESTS, WIRING
from foraging_snn.files.states import FIELDS
from foraging_snn.models import preset
from foraging_snn.models.schema import AXES, Field, axis_sizes

PAGE = Path(__file__).parents[2] / "docs" / "file_format.md"
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
ROW = {  # what a row of a table is
    AEONS: "one row per aeon",
    SNAPSHOTS: "one row per snapshot",
    INPUT_SNAPSHOTS: "one row per snapshot of the unsupervised phase, or one in all if there is none",
    POSITIONS: "one row per epoch recorded (see below)",
    SPIKES: "one row per spike in the epochs recorded (see below)",
    TESTS: "one row per test during a phase (see below)",
}


def documented(page: str) -> str:
    """The page with all its tables as the schema has them."""
    return MARKED.sub(lambda match: match[1] + "\n".join(TABLES_OF_THE_PAGE[match[2]]()) + "\n" + match[3], page)


def _trial() -> list[str]:
    lines = ["| dataset | axes | type | unit | meaning |", "|---|---|---|---|---|"]
    groups = {f"/{WIRING}": FIXED[WIRING], f"/{PHASES}/NNN": FIXED[PHASES], **{f"/{name}": TABLES[name] for name in TABLES}}
    for group, columns in groups.items():
        for name, what in columns.items():
            row = f"**{ROW[group[1:]]}**: " if name == "phase" else ""
            lines.append(_line(f"{group}/{name}", what, row))
    return lines


def _state() -> list[str]:
    lines = ["| field | axes | type | unit | meaning |", "|---|---|---|---|---|"]
    return lines + [_line(name, what) for name, what in FIELDS.items()]


def _line(name: str, what: Field, before: str = "") -> str:
    axes = ", ".join(what.axes) if what.is_array else "attribute"
    unit = "" if what.unit == "1" else what.unit
    return f"| `{name}` | {axes} | {what.stored} | {unit} | {before}{what.explanation} |"


def _axes() -> list[str]:
    columns: Iterable[Mapping[str, Field]] = (*FIXED.values(), *TABLES.values(), FIELDS)
    used = {axis for fields in columns for what in fields.values() for axis in what.axes}
    sizes = axis_sizes(preset("full"))
    lines = ["| axis | length | along it |", "|---|---|---|"]
    return lines + [f"| `{name}` | {sizes.get(name, 'n')} | {axis.meaning} |" for name, axis in AXES.items() if name in used]


TABLES_OF_THE_PAGE = {"trial": _trial, "state": _state, "axes": _axes}

if __name__ == "__main__":
    PAGE.write_text(documented(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
