"""Serves the page on this computer only, to whoever knows its address, and answers what the page asks for."""

import hmac
import logging
import math
import secrets
import socket
import webbrowser
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh.resources import Resources
from bokeh.server.server import BaseServer
from bokeh.server.tornado import BokehTornado
from bokeh.settings import settings
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.netutil import bind_sockets
from tornado.web import ErrorHandler

from foraging_snn.analysis.collection import CollectionError
from foraging_snn.commands.evaluating import trained_tasks
from foraging_snn.commands.explorer import live, replay
from foraging_snn.commands.explorer.contents import Folder
from foraging_snn.commands.explorer.page import Page, point_columns, tables_of, way_columns
from foraging_snn.commands.explorer.tables import command_from, same_network
from foraging_snn.files.hdf5 import reason
from foraging_snn.running.errors import FORESEEN, RunError, one_line

ADDRESS = "127.0.0.1"
LOOK_SECONDS = 3.0  # between two looks at the folder
PREPARE_SECONDS = 5.0  # after a page was opened, until the next is made
SAVED = "explored"  # folder for strengths that are saved as states, in that of the trials


class Explorer:
    """A folder that is looked at, and the tables of it: one for all pages.

    Parameters
    ----------
    folder : Folder
    host : str
        Address and port at which it is served.
    """

    def __init__(self, folder: Folder, host: str):
        self.host = host
        self.folder, self.tables, self.version = folder, tables_of(folder), folder.version
        self.agent, self.replayed = live.LiveAgent(), replay.NOTHING
        self.worker = ThreadPoolExecutor(1, "explore")  # engines and files are used by one thread
        self.worker.submit(self._warm_up)
        self._spare: tuple[int, Page] | None = None  # made before it is asked for, as that takes half a second
        self.prepare()

    def _warm_up(self) -> None:
        """Have the engine ready, which may have to be compiled."""
        trial = self.folder.trials[0]
        self.agent.way(live.snapshot_of(trial, 0), trained_tasks([trial.trial])[0], trial.trial.parameters.timing.epochs_per_aeon)

    def look(self) -> None:
        """See whether something else is in the folder; a folder without trials leaves what was there."""
        folder = self.folder
        if not folder.refresh():
            return
        if folder.trials:
            self.tables = tables_of(folder)
            self.version = folder.version

    def prepare(self) -> None:
        """Make a page for whoever comes next."""
        if self._spare is None or self._spare[0] != self.version:
            self._spare = self.version, Page(self.folder, self.tables)

    def page(self) -> Page:
        """A page that nobody has yet."""
        self.prepare()
        assert self._spare is not None
        (_, page), self._spare = self._spare, None
        IOLoop.current().call_later(PREPARE_SECONDS, self.prepare)
        return page

    def close(self) -> None:
        """Let the worker end what it does."""
        self.worker.shutdown(wait=True, cancel_futures=True)
        self.agent.close()


class PageSession:
    """A page in a browser.

    Parameters
    ----------
    explorer : Explorer
    document : Document
    """

    def __init__(self, explorer: Explorer, document: Document):
        self.explorer, self.document, self.version = explorer, document, explorer.version
        self.last = 0  # number of the last request for a live agent
        self.page = explorer.page()
        self.page.replay.data = explorer.replayed
        self.page.add_to(document, f"'self' ws://{explorer.host}")
        self.page.request.on_change("data", self._asked)
        document.add_periodic_callback(self._look, int(1000 * LOOK_SECONDS))

    def _look(self) -> None:
        if self.version == self.explorer.version:
            return
        self.version, tables = self.explorer.version, self.explorer.tables
        for name in sorted(tables, key=lambda table: table == "maps"):  # the script waits for it
            self.page.tables[name].data = tables[name]

    def _asked(self, attribute: str, old: Any, new: Any) -> None:
        """The page wants something; what it says is checked like any other input."""
        try:
            wanted = {name: cells[0] for name, cells in new.items()}
            number, kind = int(wanted["number"]), wanted["kind"]
            job = {"live": self._live, "save": self._save, "replay": self._replay}[kind]
        except (KeyError, IndexError, TypeError, ValueError):
            return
        if kind == "live":
            self.last = number
        self.explorer.worker.submit(self._answered, job, wanted, number)

    def _answered(self, job: Callable[[dict[str, Any], int], None], wanted: dict[str, Any], number: int) -> None:
        try:
            job(wanted, number)
        except FORESEEN as error:
            self._say(f"{wanted['kind']} failed", one_line(error), number)
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            self._say(f"{wanted['kind']} failed", f"not to be had: {reason(error)}", number)

    def _later(self, source: ColumnDataSource, columns: dict[str, Any]) -> None:
        """Change a table of the page, from the thread of the worker."""
        self.document.add_next_tick_callback(lambda: setattr(source, "data", columns))

    def _say(self, kind: str, text: str, number: int) -> None:
        self._later(self.page.answer, {"number": [number], "kind": [kind], "text": [text]})

    def _chosen(self, wanted: dict[str, Any]) -> live.ChosenNetwork:
        folder = self.explorer.folder
        if wanted["point"]:
            name = str(wanted["map"]).removeprefix("landscape: ")
            x, y = float(wanted["x"]), float(wanted["y"])
            if not (math.isfinite(x) and math.isfinite(y)):
                raise ValueError("a point is two finite numbers")
            return live.point_of(folder.landscapes[name], x, y)
        trial, row = folder.trial(wanted["trial"]), int(wanted["row"])
        if not 0 <= row < len(trial):
            raise IndexError(f"snapshot {row} of {trial.name}, which has {len(trial)}")
        return live.snapshot_of(trial, row)

    def _live(self, wanted: dict[str, Any], number: int) -> None:
        if number < self.last:  # something else has been asked for since
            return
        chosen = self._chosen(wanted)
        tasks = [task for task in self.explorer.tables["about"]["tasks"][0] if task in chosen.network.parameters.tasks]
        task = wanted["task"] if wanted["task"] in tasks else tasks[0]
        if wanted["point"]:
            self._show_point(chosen, number)
        way = self.explorer.agent.way(chosen, task)
        self._later(self.page.live, way_columns(way, chosen.title, number))
        if number < self.last:
            return
        self._say("tested", live.said(self.explorer.agent.test(chosen, tasks), chosen.moved), number)

    def _show_point(self, chosen: live.ChosenNetwork, number: int) -> None:
        trials = self.explorer.folder.trials
        with_it = (k for k, trial in enumerate(trials) if same_network(trial.network, chosen.network))
        if (trial := next(with_it, None)) is not None:
            self._later(self.page.point, point_columns(chosen.strengths, trials, number, trial))

    def _save(self, wanted: dict[str, Any], number: int) -> None:
        chosen, folder = self._chosen(wanted), self.explorer.folder
        if wanted["point"]:
            where = f"point_{float(wanted['x']):.2f}_{float(wanted['y']):.2f}"
            trial = folder.trials[0]
        else:
            trial = folder.trial(wanted["trial"])
            where = f"{trial.trial.path.stem}_epoch{trial.epoch[int(wanted['row'])]}"
        path = live.save(chosen, folder.directory / SAVED, where)
        self._say("saved", f"saved in {path}, at rest; go on with:\n{command_from(str(path), trial)}", number)

    def _replay(self, wanted: dict[str, Any], number: int) -> None:
        explorer = self.explorer
        explorer.replayed = replay.with_trial(explorer.replayed, explorer.folder.trial(wanted["trial"]))
        self._later(self.page.replay, explorer.replayed)


class GuardedTornado(BokehTornado):
    """Answers requests to this address only, with the token, and from pages of this address.

    The names of other hosts that lead to this computer, which a page elsewhere could have made (DNS rebinding), are refused like
    requests without the token.
    """

    host = ""
    token = ""

    def find_handler(self, request: HTTPServerRequest, **options: Any) -> Any:
        """See :class:`tornado.web.Application`."""
        given = request.path.split("/")[1] if "/" in request.path else ""
        known = hmac.compare_digest(given.encode(), self.token.encode())
        origin = request.headers.get("Origin", f"http://{self.host}")
        if not known or request.headers.get_list("Host") != [self.host] or origin != f"http://{self.host}":
            return self.get_handler_delegate(request, ErrorHandler, {"status_code": 403})
        return super().find_handler(request, **options)

    def resources(self, absolute_url: str | bool | None = None) -> Resources:
        """Scripts that the page needs, and no others: it has no tables and no formulas."""
        found = super().resources(absolute_url)
        found.components = ["bokeh", "bokeh-widgets"]
        return found


class ExplorerServer:
    """The server, listening.

    Parameters
    ----------
    folder : Folder
    port : int
        0: any that is free.

    Attributes
    ----------
    address : str
        Of the page, with its token.

    Raises
    ------
    RunError
        The port cannot be had.
    """

    def __init__(self, folder: Folder, port: int):
        try:
            sockets = bind_sockets(port, ADDRESS, socket.AF_INET)
        except OSError as error:
            raise RunError(
                f"--port: {port} cannot be had on {ADDRESS}: {reason(error)}; allowed is a free one, or 0 for any"
            ) from None
        settings.resources = "server"  # whatever the user's settings are: no request leaves this computer
        for name in ("bokeh", "tornado"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self.host, token = f"{ADDRESS}:{sockets[0].getsockname()[1]}", secrets.token_urlsafe(24)
        self.explorer = Explorer(folder, self.host)
        application = GuardedTornado(
            {"/": lambda document: _begin(self.explorer, document)},
            prefix=token,
            extra_websocket_origins=[self.host],
            unused_session_lifetime_milliseconds=15000,
        )
        application.host, application.token = self.host, token

        http = HTTPServer(application)
        http.add_sockets(sockets)
        self._server = BaseServer(IOLoop.current(), application, http)
        self.address = f"http://{self.host}/{token}/"
        self._looking = PeriodicCallback(self._look, 1000 * LOOK_SECONDS)

    async def _look(self) -> None:
        try:
            await IOLoop.current().run_in_executor(self.explorer.worker, self.explorer.look)
        except (OSError, CollectionError):
            return  # what was there stays

    def run(self) -> None:
        """Serve until Ctrl-C."""
        self._server.start()
        self._looking.start()
        try:
            IOLoop.current().start()
        except KeyboardInterrupt:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening."""
        self._looking.stop()
        self._server.stop()
        self.explorer.close()


def _begin(explorer: Explorer, document: Document) -> None:
    PageSession(explorer, document)


def open_browser(address: str) -> bool:
    """Open a page; whether there was a browser to open it."""
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
