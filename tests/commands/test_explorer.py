"""What `foraging-snn explore` shows, without a browser: what is in a folder, tables, the agent, and who may ask for the page."""

import http.client
import re
import shutil
import socket
import subprocess
import sys
import threading

import numpy as np
import pretend_evaluations
import pytest
from explorer_data import make_folder
from pretend_trials import write_trials

from foraging_snn.analysis.receptive_fields import output_receptive_fields
from foraging_snn.commands.cli import main
from foraging_snn.commands.explorer import live, replay, tables
from foraging_snn.commands.explorer.contents import Folder, thinned
from foraging_snn.files.landscapes import write_landscape
from foraging_snn.files.networks import RecordedPoints
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import StateError, load_state
from foraging_snn.models import engine_class
from foraging_snn.running.evaluating import evaluate, phase_of_test

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("explored"))


@pytest.fixture(scope="module")
def folder(directory):
    return Folder(directory)


@pytest.fixture
def pretended(tmp_path):
    return write_trials(tmp_path, ["sequential"], [7])


# ---------------------------------------------------------------------------------------------------------------- contents


def test_a_folder_that_grows_is_looked_at_again_and_what_is_known_is_not_read_again(pretended):
    folder = Folder(pretended)
    assert [trial.name for trial in folder.trials] == ["sequential_seed0007.h5"] and not folder.refresh()
    first, version = folder.trials[0], folder.version
    write_trials(pretended, ["sequential"], [8])
    write_landscape(pretended / "plane.h5", pretend_evaluations.landscape())
    (pretended / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert folder.refresh() and folder.version == version + 1
    assert folder.trials[0] is first and folder.trials[1].name == "sequential_seed0008.h5"
    assert list(folder.landscapes) == ["plane.h5"]
    assert len(folder.problems) == 1 and "broken.h5" in folder.problems[0]
    (pretended / "sequential_seed0007.h5").unlink()
    assert folder.refresh() and len(folder.trials) == 1


def test_snapshots_are_thinned_evenly_and_the_ends_of_phases_stay():
    phase = np.repeat([-1, 0, 2], [1, 999, 503])
    rows = thinned(phase, 50)
    assert {0, 999, 1502} <= set(rows.tolist()) and len(rows) <= 53 and np.diff(rows).max() <= 31
    np.testing.assert_array_equal(thinned(phase, 1503), np.arange(1503))


def test_a_trial_is_as_in_its_file(folder):
    trial = folder.trials[0]
    points = RecordedPoints.of(Trial(trial.trial.path))
    np.testing.assert_array_equal(trial.strengths, points.strengths)
    assert trial.phase_names == points.names
    assert (trial.aeon[0], trial.aeon[-1]) == (0.0, 6.0)  # two aeons of T1, two tests of one, two of T2


# ------------------------------------------------------------------------------------------------------------------ tables


def test_the_table_of_snapshots_holds_what_the_analysis_says(folder):
    maps = tables.maps_of(folder.trials, folder.landscapes)
    points = tables.points_table(folder.trials, maps)
    second = folder.trials[1]
    k = len(folder.trials[0]) + 6
    fields = output_receptive_fields(second.images, second.strengths[6])
    np.testing.assert_allclose(points["fields"][k], fields.reshape(-1), rtol=1e-6)
    assert points["phase"][k] == "I(S,T2)" and points["trial"][k] == 1 and points["row"][k] == 6
    assert points["histogram"][k].sum() == pytest.approx(1.0)
    onto_first = second.strengths[6][:, 0]
    assert points["drivers"][k][: tables.DRIVERS].tolist() == np.argsort(-onto_first, kind="stable")[: tables.DRIVERS].tolist()
    assert {len(column) for column in points.values()} == {len(folder.trials[0]) + len(second)}


def test_named_states_lie_where_the_landscape_has_them(folder):
    (name, landscape) = next(iter(folder.landscapes.items()))
    one = tables.landscape_map(name, landscape, folder.trials)
    np.testing.assert_allclose(one.position[0][-1, :2], landscape.states.position[1], atol=1e-6)  # T2
    np.testing.assert_allclose(one.position[1][-1], [*landscape.states.position[2], 0.0], atol=1e-6)  # I(S,T2)


def test_trials_of_another_network_are_not_on_the_plane(pretended):
    write_landscape(pretended / "plane.h5", pretend_evaluations.landscape())
    folder = Folder(pretended)
    one = tables.landscape_map("plane.h5", folder.landscapes["plane.h5"], folder.trials)
    assert np.isnan(one.position[0]).all()


def test_performance_is_that_of_the_tests_after_a_phase_and_of_training_within(folder):
    trial = folder.trials[0]
    said, tested = tables.performance_of_snapshots(trial), trial.trial.test_results()
    assert said[4] == f"T1 {tested[0].performance:.2f}, T2 {tested[1].performance:.2f} in the tests after it"
    assert said[0] == "" and said[2].endswith("in training")


def test_a_command_goes_on_from_states_that_the_file_holds(folder):
    trial = folder.trials[0]
    found = tables.commands(trial)
    for row, command in enumerate(found):
        assert bool(command) == (int(trial.epoch[row]) in trial.trial.states.values() and row in tables.ends_of_phases(trial))
    for where in trial.trial.states:
        if where in ("T1", "T2"):
            assert f"--start-from {trial.trial.path}@{where} " in " ".join(found)


# -------------------------------------------------------------------------------------------------------------------- live


@pytest.fixture(scope="module")
def agent():
    agent = live.LiveAgent()
    yield agent
    agent.close()


def test_the_way_is_that_of_a_test_and_the_world_follows_it(folder, agent):
    trial = folder.trials[0]
    chosen = live.snapshot_of(trial, 4)
    way = agent.way(chosen, "T1", epochs=300)
    state = chosen.network.state(chosen.strengths, chosen.resistance, seed=1)
    with engine_class("event")(chosen.network.parameters) as engine:
        end, record = engine.run(state, phase_of_test("T1", 300, trial.trial.parameters))
    assert (int(way.x[-1]), int(way.y[-1])) == (end.agent_x, end.agent_y)
    assert np.count_nonzero(way.outcome == 1) == record.counts["rewarded"].sum()
    grid = way.grid.reshape(-1).copy()
    for epoch in range(1, 300):
        changed = np.array(way.changes[epoch], int).reshape(-1, 2)
        assert way.outcome[epoch] or not len(changed)
        grid[changed[:, 0]] = changed[:, 1]
    np.testing.assert_array_equal(grid.reshape(end.grid.shape), end.grid)


def test_its_performance_is_that_of_evaluate(folder, agent):
    trial, tasks = folder.trials[0], ("T1", "T2")
    chosen = live.snapshot_of(trial, 8)
    found = agent.test(chosen, tasks, epochs=300)
    expected = evaluate([trial.strengths[8]], tasks, 300, network=trial.network, resistance=trial.resistance[8])
    for name, values in expected.counts.items():
        np.testing.assert_array_equal(found.counts[name], values, err_msg=name)
    assert live.said(found, 0.0).endswith("(300 epochs each)")


def test_a_point_of_the_plane_is_tested_as_the_landscape_was(folder, agent):
    landscape = next(iter(folder.landscapes.values()))
    chosen = live.point_of(landscape, landscape.x[2], landscape.y[1])
    found = agent.test(chosen, landscape.tested.tasks, epochs=100)
    for name, values in found.counts.items():
        np.testing.assert_array_equal(values[0], landscape.tested.counts[name][1, 2], err_msg=name)
    assert chosen.moved == landscape.tested.moved[1, 2]


def test_strengths_are_saved_as_a_state_that_a_run_starts_from(folder, tmp_path):
    landscape = next(iter(folder.landscapes.values()))
    chosen = live.point_of(landscape, 0.001, 0.002)
    path = live.save(chosen, tmp_path / "explored", "point")
    assert live.save(chosen, tmp_path / "explored", "point") == path  # once more: it is there
    with pytest.raises(StateError, match="exists already"):
        live.save(live.point_of(landscape, 0.002, 0.002), tmp_path / "explored", "point")
    saved = load_state(path)
    np.testing.assert_array_equal(saved.state.hidden_output, chosen.strengths)
    assert saved.note == "strengths and resistances of the point 0.00, 0.00 of the plane, at rest"
    run = [
        "run",
        "T1",
        "--preset",
        "tiny",
        "--set",
        "network.hidden_cells=100",
        "--start-from",
        str(path),
        "--out",
        str(tmp_path / "on"),
    ]
    assert main(run) == 0


def test_replay_is_left_out_where_nothing_was_recorded_of_it(folder):
    found = replay.with_trial(replay.NOTHING, folder.trials[0])
    assert found == {"name": [folder.trials[0].name], "aeon": [[]], "task1": [[]], "task2": [[]]}
    assert replay.with_trial(found, folder.trials[0]) is found


# ------------------------------------------------------------------------------------------------------------- serving


@pytest.fixture(scope="module")
def served(directory):
    """Address and port of a page, and its token."""
    pytest.importorskip("bokeh")
    command = [sys.executable, "-m", "foraging_snn", "explore", str(directory), "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("http"):
            break
    assert lines[-1].startswith("http://127.0.0.1:"), lines
    threading.Thread(target=process.stdout.read, daemon=True).start()
    _, _, host, token, _ = lines[-1].split("/")
    yield host, token
    process.terminate()
    process.wait(30)


def status(host, path, **headers):
    connection = http.client.HTTPConnection(*host.split(":"), timeout=30)
    connection.putrequest("GET", path, skip_host=True)
    for name, value in ({"Host": host} | headers).items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse().status


def test_only_who_knows_the_token_and_asks_this_address_gets_an_answer(served):
    host, token = served
    port = host.split(":")[1]
    script = f"/{token}/static/js/bokeh.min.js"
    assert status(host, f"/{token}/") == 200 and status(host, script) == 200
    for path in ("/", "/static/js/bokeh.min.js", f"/{token[:-1]}/", f"/{token}x/", "/ws", "//", f"//{token}/"):
        assert status(host, path) == 403, path
    for other in (f"localhost:{port}", f"example.org:{port}", "127.0.0.1", ""):
        assert status(host, f"/{token}/", Host=other) == 403, other
    assert status(host, f"/{token}/", Origin="http://example.org") == 403
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "eHh4", "Sec-WebSocket-Version": "13"}
    assert status(host, f"/{token}/ws", Origin="http://example.org", **upgrade) == 403
    assert status(host, "/ws", Origin=f"http://{host}", **upgrade) == 403


def test_it_listens_on_this_computer_only(served):
    port = int(served[0].split(":")[1])
    for address in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}:
        with socket.socket() as other, pytest.raises(OSError):
            other.settimeout(2)
            other.connect((address, port))


# ---------------------------------------------------------------------------------------------------------- command line


def refused(capsys, *arguments):
    """What a refused command says."""
    assert main(["explore", *map(str, arguments), "--no-browser"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and captured.err.startswith("foraging-snn: ")
    return captured.err


def test_what_cannot_be_shown_is_refused_in_one_line(pretended, tmp_path, capsys):
    assert "not a folder" in refused(capsys, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "no .h5 file in it" in refused(capsys, tmp_path / "empty")
    (tmp_path / "broken").mkdir()
    shutil.copy(pretended / "sequential_seed0007.h5", tmp_path / "broken" / "a.h5")
    with open(tmp_path / "broken" / "a.h5", "r+b") as file:
        file.truncate(5000)
    assert "no complete trial with training in it" in refused(capsys, tmp_path / "broken")
    assert "--port: 70000 given" in refused(capsys, pretended, "--port", 70000)
    assert "allowed is a name that ends in .html" in refused(capsys, pretended, "--export", tmp_path / "page.h5")
    (tmp_path / "there.html").touch()
    assert "exists already and is not overwritten" in refused(capsys, pretended, "--export", tmp_path / "there.html")
    assert "not a folder" in refused(capsys, pretended, "--export", tmp_path / "nowhere" / "page.html")


def test_a_busy_port_is_refused_in_one_line(pretended, capsys):
    pytest.importorskip("bokeh")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"--port: {port} cannot be had on 127.0.0.1: Address already in use" in refused(capsys, pretended, "--port", port)


def test_without_bokeh_the_extra_is_named(pretended, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh", None)
    assert "pip install '.[explore]' in a clone" in refused(capsys, pretended)


def test_texts_of_files_cannot_become_html_of_an_exported_page(folder, monkeypatch):
    pytest.importorskip("bokeh")
    from foraging_snn.commands.explorer import exporting

    hostile = "</script><img src=x onerror=alert(1)>"
    monkeypatch.setattr(folder.trials[0].trial, "label", hostile)
    page = exporting.html_of(folder)
    assert "<img src=x" not in page and "onerror=alert(1)" in page
    assert "Content-Security-Policy" in page and "connect-src 'none'" in page
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*\s(?:src|href)=\"(?!data:|\$)", page)
