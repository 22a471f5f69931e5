"""`foraging-snn explore` in a real browser: a page that is served, and one that was written to a file."""

import contextlib
import os
import re
import shutil
import subprocess
import sys

import pytest
from explorer_data import make_folder

from foraging_snn.files.landscapes import read_landscape

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytest.importorskip("bokeh", reason="Bokeh is not installed")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
if not CHROMIUM:
    pytest.skip("no Chromium on this computer (apt-get install chromium, or its path in CHROMIUM)", allow_module_level=True)

PATIENCE = 60_000  # ms; a busy computer compiles the engine meanwhile
LAST, FIRST = "sequential_seed0001.h5", 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("explored"))


@contextlib.contextmanager
def served(folder, *options):
    """The address of a page."""
    command = [sys.executable, "-m", "foraging_snn", "explore", str(folder), "--no-browser", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("http://127.0.0.1:"):
                break
        else:
            pytest.fail(said)
        yield line.strip()
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def browser():
    with (
        sync_api.sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]) as browser,
    ):
        yield browser


def corner(folder):
    """A point of the landscape where no state is."""
    made = read_landscape(folder / "landscape.h5")
    return float(made.x[-1]), float(made.y[-1])


class Visit:
    """A page, what went wrong in it, and what it asked for."""

    def __init__(self, browser, address):
        self.page = browser.new_context(viewport={"width": 1480, "height": 1080}).new_page()
        self.errors, self.requests = [], []
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url))
        self.page.on("dialog", lambda dialog: (self.errors.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.address = address
        self.page.goto(address)
        self.page.wait_for_function("window.explorer !== undefined", timeout=PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.page.context.close()

    def text(self, pattern):
        """Wait for a text on the page, within all shadow roots; what was matched."""
        found = self.page.get_by_text(re.compile(pattern)).first
        found.wait_for(timeout=PATIENCE)
        return found.inner_text()

    def place(self, x, y):
        """Where on the screen a point of the map is."""
        return self.page.evaluate(
            """([x, y]) => {
                const view = Bokeh.index.find_one(window.explorer.map_plot), box = view.el.getBoundingClientRect()
                return [box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(y)]
            }""",
            [x, y],
        )

    def point(self, k):
        return self.page.evaluate("(k) => [window.explorer.points.data.x[k], window.explorer.points.data.y[k]]", k)

    def chosen(self, letter):
        return self.page.evaluate("(letter) => ({...window.explorer.chosen[letter]})", letter)

    def kept_to_itself(self):
        """No error, and no request to anywhere else."""
        assert self.errors == []
        host = self.address.split("/")[2] or "nowhere"
        elsewhere = [url for url in self.requests if f"//{host}/" not in url and url != self.address]
        assert [url for url in elsewhere if not url.startswith(("data:", "blob:"))] == []


def test_a_page_that_is_served(browser, folder):
    with served(folder) as address, Visit(browser, address) as visit:
        page = visit.page
        visit.text(r"T1 [\d.]+ ± [\d.]+, T2 [\d.]+ ± [\d.]+ \(5,000 epochs each\)")
        visit.text(r"epoch \d+ of 1000")
        assert visit.chosen("a") == {"trial": 0, "row": 8} and visit.chosen("b") == {"trial": 0, "row": 0}

        page.mouse.move(*visit.place(*visit.point(8)))  # hover
        visit.text(r"^phase:\s*$")

        page.keyboard.press("ArrowLeft")  # the slider, by keyboard
        page.keyboard.press("Shift+ArrowRight")
        assert visit.chosen("a")["row"] == 7 and visit.chosen("b")["row"] == 1
        visit.text(r"^A: T1 -> T2, seed 1 · T2, aeon")
        page.keyboard.press("ArrowDown")
        assert visit.chosen("a")["trial"] == 1
        page.keyboard.press("c")
        assert visit.chosen("b") == visit.chosen("a")

        track = page.locator(".noUi-target").first.bounding_box()  # the slider, by mouse
        page.mouse.click(track["x"] + track["width"] / 2, track["y"] + track["height"] / 2)
        assert visit.chosen("a") == {"trial": 1, "row": 4}

        page.mouse.click(*visit.place(*visit.point(8)))  # a state
        assert visit.chosen("a") == {"trial": 0, "row": 8}

        page.mouse.click(*visit.place(*corner(folder)))  # strengths that never existed
        visit.text(r"^the point -?[\d.]+, -?[\d.]+ of the plane")
        page.wait_for_function("window.explorer.chosen.point.known === true", timeout=PATIENCE)  # its receptive fields
        visit.text(r"T1 [\d.]+ ± [\d.]+, T2 [\d.]+ ± [\d.]+ \(5,000 epochs each")
        page.get_by_role("button", name="continue from here").click()
        said = visit.text(r"go on with:")
        assert "--start-from" in said
        assert [path.name.startswith("point_") for path in (folder / "explored").iterdir()] == [True]

        again = page.url
        assert "point=" in again and "a=sequential_seed0001.h5%3A8" in again
        visit.kept_to_itself()
        with Visit(browser, again) as other:  # the view is in the address
            assert other.chosen("a") == {"trial": 0, "row": 8}
            assert other.chosen("point")["x"] == pytest.approx(visit.chosen("point")["x"])
            other.text(r"^the point ")


def test_a_click_that_follows_another_quickly_and_one_that_is_held_choose_too(browser, folder):
    with served(folder) as address, Visit(browser, address) as visit:
        page = visit.page
        visit.text(r"epoch \d+ of 1000")
        for row in (0, 8, 0):  # without waiting: within the time of a double click
            page.mouse.click(*visit.place(*visit.point(row)))
            assert visit.chosen("a") == {"trial": 0, "row": row}
        page.mouse.click(*visit.place(*visit.point(8)), delay=600)
        assert visit.chosen("a") == {"trial": 0, "row": 8}
        page.mouse.dblclick(*visit.place(*corner(folder)))
        visit.text(r"^the point -?[\d.]+, -?[\d.]+ of the plane")
        page.wait_for_function("window.explorer.chosen.point.known === true", timeout=PATIENCE)
        visit.kept_to_itself()


def test_states_in_a_box_are_brushed_and_time_plays_over_them(browser, folder):
    with served(folder) as address, Visit(browser, address) as visit:
        page = visit.page
        page.locator(".bk-tool-icon-box-select").first.click()
        x, y = visit.place(*visit.point(8))
        page.mouse.move(x - 12, y - 12)
        page.mouse.down()
        page.mouse.move(x + 12, y + 12, steps=5)
        page.mouse.up()
        visit.text(r"\d states? in the box: T1 -> T2, seed 1 · T2: ")
        page.get_by_role("button", name="B goes along").click()
        page.evaluate("window.explorer.choose('a', 0, 0)")
        page.get_by_role("button", name="▶ time").click()
        page.wait_for_function("window.explorer.chosen.a.row === 8", timeout=PATIENCE)
        assert visit.chosen("b") == {"trial": 0, "row": 8}
        visit.kept_to_itself()


def test_a_folder_that_grows_and_a_map_of_another_kind(browser, folder, tmp_path):
    shutil.copy(folder / LAST, tmp_path)
    with served(tmp_path) as address, Visit(browser, address) as visit:
        assert visit.page.evaluate("window.explorer.points.data.x.length") == 9
        shutil.copy(folder / "sleep_seed0001.h5", tmp_path)
        visit.page.wait_for_function("window.explorer.points.data.x.length === 18", timeout=PATIENCE)
        visit.page.get_by_label("map", exact=True).select_option("PCA of the receptive fields")
        assert "PCA+of+the+receptive+fields" in visit.page.url
        visit.kept_to_itself()


def test_a_page_in_a_file_needs_no_network(browser, folder, tmp_path):
    out = tmp_path / "page.html"
    subprocess.run([sys.executable, "-m", "foraging_snn", "explore", str(folder), "--export", str(out)], check=True)
    assert out.stat().st_size < 6e6
    with Visit(browser, out.as_uri()) as visit:
        visit.text("A page in a file: the agent is recorded, not live.")
        visit.text(r"epoch \d+ of 300")
        visit.page.keyboard.press("ArrowLeft")
        visit.text("Recorded, not live: the nearest state whose agent is in this file")
        visit.page.mouse.click(*visit.place(*corner(folder)))
        visit.text(r"Recorded, not live: the landscape at .* has T1 [\d.]+ ± [\d.]+, T2")
        assert visit.requests == [out.as_uri()]
        visit.kept_to_itself()


def test_nothing_in_a_file_is_run(browser, folder, tmp_path):
    """Labels of trials and names of states with HTML, scripts and formulas in them are shown as they are."""
    import h5py

    shutil.copytree(folder, tmp_path / "hostile", ignore=shutil.ignore_patterns("ledger", "explored"))
    hostile = "</script><img src=x onerror=alert(1)><script>alert(2)</script>$$\\href{javascript:alert(3)}{x}$$&lt;"
    for path in (tmp_path / "hostile").glob("*.h5"):
        with h5py.File(path, "r+") as file:
            for item in (file, *(file[name] for name in ("states", "trajectories/000") if name in file)):
                for name in ("label", "names"):
                    if name in item.attrs:
                        text = "\n".join([hostile] * len(item.attrs[name].decode().split("\n")))
                        item.attrs.create(name, text.encode(), dtype=h5py.string_dtype("utf-8", len(text)))
    with served(tmp_path / "hostile") as address, Visit(browser, address) as visit:
        assert "onerror=alert(1)" in visit.text(r"^A: ")
        visit.page.mouse.move(*visit.place(*visit.point(8)))
        visit.text(r"^phase:\s*$")
        visit.text(r"epoch \d+ of 1000")
        assert visit.page.locator("img[src=x]").count() == 0
        visit.kept_to_itself()
    out = tmp_path / "page.html"
    subprocess.run([sys.executable, "-m", "foraging_snn", "explore", str(tmp_path / "hostile"), "--export", str(out)], check=True)
    with Visit(browser, out.as_uri()) as visit:
        visit.text(r"^A: ")
        assert visit.page.locator("img[src=x]").count() == 0
        visit.kept_to_itself()
