"""The page: figures, controls, and the tables that its script shows parts of. What is shown is computed in tables.py and live.py.

All choosing happens in the browser (data/explorer.js), in the same way on a page that is served and on one that was written to a
file. What the browser cannot do, running the agent, it asks for in the table `request`; live.py's answer comes in `live`.
"""

# Bokeh declares the properties of its models so that a type checker takes them for something else.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Any

import numpy as np
from bokeh.core.templates import get_env
from bokeh.document import Document
from bokeh.events import ButtonClick, DocumentReady, DoubleTap, PressUp, Tap
from bokeh.layouts import column, row
from bokeh.models import (
    BasicTicker,
    Button,
    ColorBar,
    ColumnDataSource,
    CustomJS,
    Div,
    HoverTool,
    LinearColorMapper,
    LogAxis,
    Model,
    MultiSelect,
    Range1d,
    Select,
    Slider,
    Span,
    Toggle,
)
from bokeh.palettes import interp_palette
from bokeh.plotting import figure
from matplotlib import colormaps
from matplotlib.colors import to_hex

from foraging_snn.analysis.collection import conditions_of
from foraging_snn.analysis.figures.style import PUNISHED, REWARDED, SLEEP, TASK_1, TASK_2, task_colour
from foraging_snn.analysis.receptive_fields import DIRECTION_NAMES, directions
from foraging_snn.commands.evaluating import trained_tasks
from foraging_snn.commands.explorer.contents import ExploredTrial, Folder
from foraging_snn.commands.explorer.live import Way
from foraging_snn.commands.explorer.tables import (
    DRIVERS,
    EDGES,
    NAIVE_COLOUR,
    Columns,
    curves_table,
    images_table,
    landscapes_table,
    maps_of,
    network_columns,
    points_table,
    states_table,
    trials_table,
)
from foraging_snn.environments import Particle
from foraging_snn.environments.rendering import square_colours
from foraging_snn.models import N_OUTPUT

TITLE = "foraging-snn explore"
POLICY = (  # Bokeh makes functions of its scripts, hence 'unsafe-eval'; whatever is in the page, nothing is loaded from elsewhere
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src data:; connect-src {connect}; base-uri 'none'; form-action 'none'"
)
TEMPLATE = """{% extends base %}
{% block preamble %}
    <meta http-equiv="Content-Security-Policy" content="{{ policy }}">
    <meta name="referrer" content="no-referrer">
    <link rel="icon" href="data:,">
{% endblock %}
{% block contents %}
    <p id="loading" style="font: 14px system-ui, sans-serif; margin: 16px">foraging-snn explore: opening {{ n_trials }} trials …</p>
    {{ super() }}
{% endblock %}
"""
VIRIDIS = [to_hex(colour) for colour in colormaps["viridis"](np.linspace(0.0, 1.0, 256))]
FADING = list(interp_palette(["#0072B2", "#FFFFFF", "#D55E00"], 255))  # weaker, as it was, stronger
A_COLOUR, B_COLOUR = "#000000", "#CC79A7"
GAP = 1.0  # squares between receptive fields
MAP_WIDTH, MAP_HEIGHT, SIDE, NARROW = 530, 400, 340, 210
LOWEST = 1e-5  # of the histogram's logarithmic axis
HELP = (
    "← → state A · Shift + ← → state B · ↑ ↓ trial · space plays time · P pauses the agent · C compares with this state · "
    "click a state: choose it, Shift + click: compare with it · click elsewhere on a landscape: strengths that never existed · "
    "drag with the box tool: time then runs over these states only"
)
STYLE = ":host { font-family: system-ui, sans-serif; font-size: 12px; color: #222; }"


def tables_of(folder: Folder) -> dict[str, Columns]:
    """All tables of a folder, by name."""
    trials, landscapes = folder.trials, folder.landscapes
    maps = maps_of(trials, landscapes)
    points = points_table(trials, maps)
    n = len(points["aeon"])
    look = {"alpha": 1.0, "size": 6.0, "x": np.nan, "y": np.nan, "rug": np.nan}  # set by the script
    points |= {name: np.full(n, value) for name, value in look.items()}
    return {
        "points": points,
        "trials": trials_table(trials),
        "images": images_table(trials),
        "curves": curves_table(trials),
        "landscapes": landscapes_table(landscapes),
        "states": states_table(landscapes),
        "maps": {"name": [one.name for one in maps], **{f"axis{k}": [one.axes[k] for one in maps] for k in range(3)}},
        "about": _about(folder),
    }


def _about(folder: Folder) -> Columns:
    said = [*(f"not shown: {problem}" for problem in folder.problems)]
    conditions = " · ".join(dict.fromkeys(part for trial in folder.trials for part in conditions_of([trial.trial])))
    tasks = trained_tasks(trial.trial for trial in folder.trials)
    return {
        "field": [folder.trials[0].field],
        "edges": [EDGES.tolist()],
        "tasks": [list(tasks)],
        "colours": [[task_colour(task) for task in tasks]],
        "problems": ["\n".join(said)],
        "conditions": [conditions],
        "drivers": [DRIVERS],
        "outputs": [N_OUTPUT],
    }


def way_columns(way: Way, title: str, number: int) -> Columns:
    """A row of the table `live`: the agent's way."""
    return {
        "number": [number],
        "title": [title],
        "task": [way.task],
        "grid": [way.grid.reshape(-1).tolist()],
        "x": [way.x.tolist()],
        "y": [way.y.tolist()],
        "outcome": [way.outcome.tolist()],
        "changes": [[list(changed) for changed in way.changes]],
    }


def point_columns(strengths: np.ndarray, trials: Sequence[ExploredTrial], number: int, trial: int) -> Columns:
    """A row of the table `point`: what is shown of the network at a point of a landscape, over the inputs of a trial."""
    return {"number": [number], "trial": [trial]} | network_columns(strengths[None], trials[trial].images)


EMPTY_WAY: Columns = {name: [] for name in ("number", "title", "task", "grid", "x", "y", "outcome", "changes")}


class Page:
    """All models of a page.

    Parameters
    ----------
    folder : Folder
    tables : dict of str to columns
        See :func:`tables_of`.
    recorded : columns or None
        Of a page in a file: ways of the agent in place of live ones, see exporting.py.
    """

    def __init__(self, folder: Folder, tables: dict[str, Columns], recorded: Columns | None = None):
        self.tables = {name: ColumnDataSource(data=columns) for name, columns in tables.items()}
        self.size = folder.trials[0].trial.parameters.world.size
        n_types = max(len(trial.trial.parameters.particles) for trial in folder.trials)
        self.squares = [to_hex(colour / 255) for colour in square_colours(n_types)]
        self.request = ColumnDataSource(data={"number": [], "kind": []})
        self.live = ColumnDataSource(data=EMPTY_WAY)
        self.point = ColumnDataSource(data={"number": []})
        self.answer = ColumnDataSource(data={"number": [], "kind": [], "text": []})
        self.replay = ColumnDataSource(data={"name": [], "aeon": [], "task1": [], "task2": []})
        self.recorded = ColumnDataSource(data=recorded or {})
        self._args: dict[str, Any] = self.tables | {
            "request": self.request,
            "live": self.live,
            "point": self.point,
            "answer": self.answer,
            "replay": self.replay,
            "recorded": self.recorded,
            "is_recorded": recorded is not None,
        }
        self.root = self._layout(tables["about"]["tasks"][0], folder)

    def add_to(self, document: Document, connect: str = "'none'") -> None:
        """Put the page into a document.

        Parameters
        ----------
        document : Document
        connect : str
            What the script may connect to, as a content security policy has it.
        """
        document.title = TITLE
        document.template = get_env().from_string(TEMPLATE)
        n_trials = len(self.tables["trials"].data["name"])
        document.template_variables.update(policy=POLICY.format(connect=connect), n_trials=n_trials)
        self.root.tags = [
            self.request,
            self.live,
            self.point,
            self.answer,
            self.replay,
            *self.tables.values(),
        ]  # else changes are not sent
        document.add_root(self.root)
        code = (resources.files("foraging_snn") / "data" / "explorer.js").read_text("utf-8")
        document.js_on_event(DocumentReady, CustomJS(args=self._args, code=code))

    def _keep(self, name: str, model: Model) -> Any:
        """A model that the script knows by this name."""
        self._args[name] = model
        return model

    def _source(self, name: str, /, **columns: Any) -> ColumnDataSource:
        return self._keep(name, ColumnDataSource(data=columns))

    # ------------------------------------------------------------------------------------------------------------- layout

    def _layout(self, tasks: Sequence[str], folder: Folder) -> Model:
        title = Div(text=f"<b style='font-size:17px'>{TITLE}</b>", stylesheets=[STYLE])
        where = Div(text=escape(str(folder.directory)), disable_math=True, stylesheets=[STYLE], styles={"padding-top": "5px"})
        notes = self._text("notes", 1360, {"color": "#555", "font-size": "11px"})
        keys = Div(text=HELP, width=1360, stylesheets=[STYLE], styles={"color": "#555", "font-size": "11px"})
        left = column(self._map_controls(), self._map(), self._time_controls(), self._performance())
        middle = column(self._agent_controls(tasks), self._world(), *self._agent_texts(tasks, folder))
        right = column(*self._networks())
        return column(row(title, where), keys, row(left, middle, right, spacing=18), notes, margin=8)

    def _text(self, name: str, width: int, styles: dict[str, str] | None = None) -> Div:
        """A text that the script sets; what is in it is shown as it is, never read as HTML."""
        plain = {"render_as_text": True, "disable_math": True}
        return self._keep(name, Div(width=width, stylesheets=[STYLE], styles={"white-space": "pre-line"} | (styles or {}), **plain))

    def _button(self, label: str, call: str, width: int = 80, kind: type = Button) -> Any:
        button = kind(label=label, width=width, margin=(5, 3, 5, 3))
        button.js_on_event(ButtonClick, CustomJS(code=f"window.explorer.{call}()"))
        return button

    def _select(self, name: str, title: str, options: list, width: int) -> Select:
        return self._keep(name, Select(title=title, options=options, value=options[0][0] if options else "", width=width))

    def _map_controls(self) -> Model:
        axes = [("0", "1"), ("1", "2"), ("2", "3")]
        across, up = self._select("across", "x axis", axes, 90), self._select("up", "y axis", axes, 90)
        up.value = "1"
        shown = MultiSelect(title="trials shown (none: all)", options=[], value=[], width=160, size=2)
        return row(
            self._select("chosen_map", "map", [], 150),
            across,
            up,
            self._select("surface", "landscape of", [], 110),
            self._keep("shown_trials", shown),
            height=62,
        )

    def _time_controls(self) -> Model:
        sliders = []
        for name, title in (("a", "A"), ("b", "B")):
            trial = self._select(f"trial_{name}", f"trial {title}", [], 250)
            slider = Slider(start=0, end=1, value=0, step=1, width=255, title=title, show_value=False, margin=(22, 5, 5, 5))
            sliders.append(row(trial, self._keep(f"slider_{name}", slider)))
        follow = self._keep("follow", Toggle(label="B goes along", width=105, margin=(5, 3, 5, 3)))
        buttons = column(
            row(self._button("▶ time", "play_time", 65), self._button("B = A", "compare_here", 55), margin=(16, 0, 0, 0)), follow
        )
        said = [self._text(f"said_{name}", 620, {"color": colour}) for name, colour in (("a", A_COLOUR), ("b", "#8F4070"))]
        return column(row(column(*sliders), buttons), *said, self._text("brushed", 620, {"color": "#555"}))

    # ---------------------------------------------------------------------------------------------------------------- map

    def _map(self) -> Model:
        mapper = LinearColorMapper(VIRIDIS, low=0.4, high=0.8)
        plot = figure(
            frame_width=MAP_WIDTH,
            frame_height=MAP_HEIGHT,
            tools="pan,wheel_zoom,box_select,reset,save",
            active_scroll="wheel_zoom",
            x_range=Range1d(0, 1),
            y_range=Range1d(0, 1),
            toolbar_location="above",
            name="map",
        )
        plot.grid.grid_line_color = None
        surface = self._source("shown_surface", image=[], x=[], y=[], dw=[], dh=[])
        plot.image("image", "x", "y", "dw", "dh", source=surface, color_mapper=mapper, level="image")
        bar = ColorBar(
            color_mapper=mapper, width=8, title="performance", ticker=BasicTicker(desired_num_ticks=5), title_text_font_size="11px"
        )
        plot.add_layout(self._keep("bar", bar), "right")
        ways = self._source("shown_ways", xs=[], ys=[], colour=[])
        plot.multi_line("xs", "ys", source=ways, line_color="#FFFFFF", line_width=3.6, line_alpha=0.7)
        plot.multi_line("xs", "ys", source=ways, line_color="colour", line_width=1.6)
        dots = plot.scatter(
            "x",
            "y",
            source=self.tables["points"],
            size="size",
            fill_color="colour",
            fill_alpha="alpha",
            line_color="#FFFFFF",
            line_width=0.5,
            line_alpha="alpha",
            selection_line_color="#000000",
            selection_fill_alpha=1.0,
            nonselection_fill_alpha=0.12,
            nonselection_line_alpha=0.1,
        )
        named = self._source("shown_states", x=[], y=[], name=[])
        plot.scatter("x", "y", source=named, size=9, fill_color="#FFFFFF", line_color="#000000", line_width=1.5)
        outlined = {"text_outline_color": "#FFFFFF", "text_font_size": "12px", "text_font_style": "bold"}
        plot.text("x", "y", "name", source=named, x_offset=8, y_offset=-6, **outlined)
        for name, colour, marker in (("mark_b", B_COLOUR, "square"), ("mark_a", A_COLOUR, "circle")):
            mark = self._source(name, x=[], y=[])
            plot.scatter("x", "y", source=mark, size=19, marker=marker, fill_alpha=0, line_color="#FFFFFF", line_width=5)
            plot.scatter("x", "y", source=mark, size=19, marker=marker, fill_alpha=0, line_color=colour, line_width=2.5)
        point = self._source("mark_point", x=[], y=[])
        plot.scatter("x", "y", source=point, size=20, marker="cross", line_color="#FFFFFF", line_width=6)
        plot.scatter("x", "y", source=point, size=20, marker="cross", line_color="#000000", line_width=2.5)
        told = [("", "@title"), ("phase", "@phase"), ("aeon", "@aeon{0,0.[0]}"), ("performance", "@performance")]
        plot.add_tools(HoverTool(renderers=[dots], tooltips=told, point_policy="snap_to_data", limit=2))
        _on_click(plot, "window.explorer.tap(cb_obj)")
        self._args |= {"map_mapper": mapper, "map_plot": plot}
        return column(plot, _key(), margin=0)

    def _performance(self) -> Model:
        plot = figure(frame_width=MAP_WIDTH, frame_height=120, tools="box_select", toolbar_location=None, name="time")
        plot.x_range, plot.y_range = self._keep("time_range", Range1d(0, 1)), Range1d(0.3, 0.95)
        plot.xaxis.axis_label, plot.yaxis.axis_label = "aeons since the first training began", "performance"
        lines = self._source("shown_curves", xs=[], ys=[], colour=[], width=[], alpha=[])
        plot.multi_line("xs", "ys", source=lines, line_color="colour", line_width="width", line_alpha="alpha")
        plot.scatter(
            "aeon", "rug", source=self.tables["points"], marker="dash", angle=np.pi / 2, size=9, line_color="colour", line_width=1.5
        )
        plot.add_layout(Span(dimension="width", location=0.5, line_color="#999999", line_dash="dashed"))
        for name, colour in (("span_b", B_COLOUR), ("span_a", A_COLOUR)):
            plot.add_layout(self._keep(name, Span(dimension="height", location=0.0, line_color=colour, line_width=2)))
        _on_click(plot, "window.explorer.tap_time(cb_obj)")
        return plot

    # -------------------------------------------------------------------------------------------------------------- agent

    def _agent_controls(self, tasks: Sequence[str]) -> Model:
        task = self._select("task", "task", [(name, name) for name in tasks], 70)
        speed = Slider(start=1, end=60, value=12, step=1, width=150, title="epochs per second", margin=(5, 10, 5, 5))
        pause = self._keep("pause", self._button("pause agent", "pause_agent", 95))
        pause.margin = (22, 3, 5, 3)
        return row(task, self._keep("speed", speed), pause, height=62)

    def _world(self) -> Model:
        size = self.size
        plot = figure(
            frame_width=SIDE,
            frame_height=SIDE,
            x_range=Range1d(0, size),
            y_range=Range1d(0, size),
            tools="",
            toolbar_location=None,
            name="world",
            frame_align=False,
        )
        plot.axis.visible, plot.grid.visible = False, False
        plot.outline_line_color = "#BBBBBB"
        world = self._source("world", image=[np.zeros((size, size), np.uint8)])
        mapper = LinearColorMapper(self.squares, low=-0.5, high=len(self.squares) - 0.5)
        plot.image("image", 0, 0, size, size, source=world, color_mapper=mapper)
        trail = self._source("trail", x=[], y=[])
        plot.line("x", "y", source=trail, line_color="#555555", line_width=1.5, line_alpha=0.6)
        eaten = self._source("eaten", x=[], y=[], colour=[], marker=[], alpha=[])
        plot.scatter(
            "x", "y", source=eaten, size=15, marker="marker", fill_alpha=0, line_color="colour", line_width=2.5, line_alpha="alpha"
        )
        agent = self._source("agent", x=[], y=[], view=[])
        plot.rect("x", "y", "view", "view", source=agent, fill_alpha=0.08, fill_color="#000000", line_color="#3C3C3C")
        plot.scatter("x", "y", source=agent, size=10, fill_color="#000000", line_color="#FFFFFF", line_width=1.5)
        return plot

    def _agent_texts(self, tasks: Sequence[str], folder: Folder) -> list[Model]:
        values = "<br>".join(self._values_of(task, folder) for task in tasks)
        eaten = f"eaten: <span style='color:{REWARDED}'>◯</span> rewarded &nbsp; <span style='color:{PUNISHED}'>✕</span> punished"
        key = Div(text=f"{values}<br>{eaten}", disable_math=True, width=SIDE, stylesheets=[STYLE], styles={"font-size": "11px"})
        go_on = self._button("continue from here", "go_on", 150)
        return [
            self._text("tally", SIDE, {"font-weight": "600"}),
            self._text("tested", SIDE),
            key,
            go_on,
            self._text("continued", SIDE, {"font-family": "monospace", "font-size": "11px", "overflow-wrap": "anywhere"}),
            self._replay(),
        ]

    def _values_of(self, name: str, folder: Folder) -> str:
        """Which particles a task rewards and punishes, with their colours, as HTML."""
        parameters = next(t.trial.parameters for t in folder.trials if name in t.trial.parameters.tasks)
        task, numbers = parameters.task(name), {kind: k for k, kind in enumerate(parameters.particles, 1)}

        def shown(kind: Particle) -> str:
            return f"<span style='color:{self.squares[numbers[kind.name]]}'>■</span> {escape(kind.name)}"

        roles = {"rewards": task.rewarded, "punishes": task.punished}
        return f"{escape(name)} " + ", ".join(f"{role} {' and '.join(map(shown, kinds))}" for role, kinds in roles.items() if kinds)

    # ----------------------------------------------------------------------------------------------------------- networks

    def _networks(self) -> list[Model]:
        strength, change = LinearColorMapper(VIRIDIS, low=0.0, high=0.01), LinearColorMapper(FADING, low=-0.001, high=0.001)
        self._args |= {"field_mapper": strength, "change_mapper": change}
        fields = [self._fields("fields_a", "output cells, A", strength), self._fields("fields_b", "output cells, B", strength)]
        third = row(self._fields("change", "A less B", change), self._histogram())
        return [row(*fields), third, self._driver_plot(strength)]

    def _fields(self, name: str, title: str, mapper: LinearColorMapper) -> Model:
        field = self.tables["about"].data["field"][0]
        step = field + GAP
        at = (directions() + 1) * step
        zeros = [np.zeros((field, field), np.float32) for _ in range(N_OUTPUT)]
        source = self._source(name, image=zeros, x=at[:, 0].tolist(), y=at[:, 1].tolist(), direction=list(DIRECTION_NAMES))
        plot = _bare(title, NARROW - 18, 3 * step - GAP, 3 * step - GAP, name)
        images = plot.image("image", "x", "y", field, field, source=source, color_mapper=mapper)
        plot.add_tools(HoverTool(renderers=[images], tooltips=[("output cell", "@direction"), ("", "@image{0.00000}")]))
        plot.scatter([1.5 * step - GAP / 2], [1.5 * step - GAP / 2], size=8, color="#000000")
        return plot

    def _driver_plot(self, mapper: LinearColorMapper) -> Model:
        field = self.tables["about"].data["field"][0]
        step = field + GAP
        n = N_OUTPUT * DRIVERS
        zeros = [np.zeros((field, field), np.float32) for _ in range(n)]
        x, y = [(k // DRIVERS) * step for k in range(n)], [(DRIVERS - 1 - k % DRIVERS) * step for k in range(n)]
        outputs = [DIRECTION_NAMES[k // DRIVERS] for k in range(n)]
        source = self._source("drivers", image=zeros, x=x, y=y, output=outputs, cell=[0] * n)
        title = "hidden cells that drive each output cell most, A"
        plot = _bare(title, 2 * NARROW, N_OUTPUT * step - GAP, DRIVERS * step + 2, "drivers")
        own = LinearColorMapper(VIRIDIS, low=0.0, high=0.012)
        self._keep("driver_mapper", own)
        images = plot.image("image", "x", "y", field, field, source=source, color_mapper=own)
        plot.add_tools(
            HoverTool(renderers=[images], tooltips=[("drives", "@output"), ("hidden cell", "@cell"), ("", "@image{0.0000}")])
        )
        labels = ["↙", "↓", "↘", "←", "→", "↖", "↑", "↗"]
        plot.text(
            [k * step + field / 2 for k in range(N_OUTPUT)],
            [DRIVERS * step] * N_OUTPUT,
            labels,
            text_align="center",
            text_font_size="13px",
        )
        return plot

    def _histogram(self) -> Model:
        plot = figure(
            frame_width=NARROW - 42,
            frame_height=NARROW - 55,
            y_axis_type="log",
            x_range=Range1d(EDGES[0], EDGES[-1]),
            y_range=Range1d(LOWEST * 5, 1.2),
            tools="",
            toolbar_location=None,
            title="strengths hidden to output",
            name="histogram",
        )
        plot.title.text_font_size = "11px"
        plot.axis.axis_label_text_font_size = plot.axis.major_label_text_font_size = "10px"
        plot.xaxis.axis_label = "strength (bars A, line B)"
        assert isinstance(plot.yaxis[0], LogAxis)
        n = len(EDGES) - 1
        colours = [TASK_2 if left >= 0.08 - 1e-9 else TASK_1 for left in EDGES[:-1]]
        bars = self._source("bars", left=EDGES[:-1], right=EDGES[1:], top=np.full(n, LOWEST), colour=colours)
        plot.quad(left="left", right="right", bottom=LOWEST, top="top", source=bars, fill_color="colour", line_color=None)
        outline = self._source("outline", x=(EDGES[:-1] + EDGES[1:]) / 2, y=np.full(n, LOWEST))
        plot.step("x", "y", source=outline, mode="center", line_color=B_COLOUR, line_width=1.5)
        return column(plot, self._text("clusters", NARROW, {"font-size": "11px"}))

    def _replay(self) -> Model:
        plot = figure(
            frame_width=SIDE - 40,
            frame_height=110,
            tools="",
            toolbar_location=None,
            x_range=self._keep("replay_range", Range1d(0, 1)),
            y_range=Range1d(-0.15, 1.15),
            title="sleep in A: its resemblance to each task",
            name="replay",
            visible=False,
            frame_align=False,
        )
        plot.title.text_font_size = "11px"
        plot.xaxis.axis_label = "aeons of the interleaved phase"
        source = self._source("shown_replay", aeon=[], task1=[], task2=[])
        for name, colour in (("task1", TASK_1), ("task2", TASK_2)):
            plot.line("aeon", name, source=source, line_color=colour, line_width=1.5)
            plot.scatter("aeon", name, source=source, fill_color=colour, line_color=None, size=5)
        self._keep("replay_plot", plot)
        return plot


def _bare(title: str, width: float, x_end: float, y_end: float, name: str) -> Any:
    """A figure without axes for images."""
    plot = figure(
        frame_width=round(width),
        frame_height=round(width * (y_end + 1) / (x_end + 1)),  # squares are square
        x_range=Range1d(-0.5, x_end + 0.5),
        y_range=Range1d(-0.5, y_end + 0.5),
        tools="",
        toolbar_location=None,
        title=title,
        name=name,
    )
    plot.axis.visible, plot.grid.visible, plot.outline_line_color = False, False, None
    plot.title.text_font_size = "11px"
    return plot


def _on_click(plot: Any, code: str) -> None:
    """Run `code` at every click; for Bokeh one within 0.3 s of another is a double tap, wherever it is, one held longer a press."""
    for event in (Tap, DoubleTap, PressUp):
        plot.js_on_event(event, CustomJS(code=code))


def _key() -> Div:
    colours = {"before training": NAIVE_COLOUR, "Task 1": TASK_1, "Task 2": TASK_2, "with sleep": SLEEP, "both tasks": REWARDED}
    dots = " &nbsp; ".join(f"<span style='color:{colour}'>●</span> {name}" for name, colour in colours.items())
    return Div(
        text=f"{dots} &nbsp; ◯ A &nbsp; <span style='color:{B_COLOUR}'>□</span> B &nbsp; fainter: farther from the plane",
        stylesheets=[STYLE],
        styles={"font-size": "11px"},
        margin=(0, 5, 0, 5),
    )
