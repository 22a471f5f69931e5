"""Scenes of which every square and every cell is known; what the frames show of them, and the files they become."""

import shutil

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from foraging_snn.analysis import animation
from foraging_snn.analysis.animation import AnimatedFigure, AnimationError, Food, Scene, spikes_between_moves, write_animation
from foraging_snn.analysis.figures import style
from foraging_snn.environments import PARTICLES

SIZE, FIELD = 20, 7
FOOD = (
    Food(1, PARTICLES["horizontal"], "horizontal: rewarded", style.REWARDED),
    Food(4, PARTICLES["negative diagonal"], "negative diagonal: punished", style.PUNISHED),
)


def scene(n=5, hidden_cells=30, **changes):
    """The agent goes right from (17, 2), over the edge; a particle lies where it comes to be in epoch 1."""
    grid = np.zeros((n, SIZE, SIZE), np.int8)
    grid[0, 2, 18:20] = 1
    grid[:, 5, 5] = grid[:, 4, 6] = 4
    fields = {
        "title": "a scene",
        "epoch": 100 + np.arange(n),
        "awake": np.ones(n, bool),
        "grid": grid,
        "x": (17 + np.arange(n)) % SIZE,
        "y": np.full(n, 2),
        "outcome": np.array([0, 1, 0, 2, 0, 0, 0, 0][:n]),
        "hidden": np.arange(n)[:, None] * (np.arange(hidden_cells) == 3),
        "output": np.arange(n)[:, None] * (np.arange(8) == 4),
        "next_move": np.full(n, 5),
        "food": FOOD,
        "field": FIELD,
        "has_task": True,
    }
    return Scene(**fields | changes)


@pytest.fixture
def axes():
    """The panels of the only scene in its epoch `k`: world, view, hidden, output."""

    def shown(k, **changes):
        with style.applied():
            animated = AnimatedFigure([scene(**changes)])
            animated.show(k)
        return animated.figure.axes[:4]

    return shown


def texts(panel):
    return [text.get_text() for text in panel.texts if text.get_visible()]


def test_spikes_count_for_the_move_that_follows_them():
    #       move of epoch 7 | first step that counts for 8 | last one | first for 9 | another layer
    step = [4200, 4201, 4201, 4800, 4801, 5000, 6001]
    cell = [10, 10, 10, 11, 10, 12, 10]
    counts = spikes_between_moves(step, cell, first_epoch=7, epochs=3, steps=600, cells=range(10, 12))
    np.testing.assert_array_equal(counts, [[2, 1], [1, 0], [0, 0]])


def test_the_world_shows_food_agent_and_trail(axes):
    world = axes(3)[0]
    picture = world.images[0].get_array()
    pixels = picture.shape[0] // SIZE

    def colour(x, y):
        return tuple(picture[y * pixels + pixels // 2, x * pixels + pixels // 2])

    assert colour(5, 5) == colour(6, 4) == to_rgb(style.PUNISHED)
    assert colour(18, 2) == colour(3, 2) == to_rgb(animation.SEEN)
    assert colour(10, 10) == to_rgb(animation.EMPTY)
    trail, sight, rewarded, punished, agent = world.lines
    np.testing.assert_array_equal(trail.get_xdata(), [17, 18, 19, np.nan, 0])
    assert (agent.get_xdata(), agent.get_ydata()) == ([0], [2])
    assert (rewarded.get_xdata().tolist(), punished.get_xdata().tolist()) == ([18], [0])
    corners = np.column_stack(sight.get_data())
    assert {(-3.5, -1.5), (3.5, 5.5), (16.5, 5.5)} <= set(map(tuple, corners))
    assert texts(world) == ["epoch 103", "1 rewarded", "1 punished"]


def test_the_view_is_that_of_the_agent(axes):
    seen = axes(0)[1].images[0].get_array()
    assert seen.shape == (FIELD, FIELD)
    assert np.argwhere(seen).tolist() == [[3, 4], [3, 5]]
    assert not np.any(axes(1)[1].images[0].get_array())


def test_layers_show_spikes_and_the_move_chosen(axes):
    _, _, hidden, output = axes(2)
    cells = hidden.images[0].get_array()
    assert cells.shape == (6, 6)
    assert np.isnan(np.ma.filled(cells, np.nan)).sum() == 6
    assert (cells[0, 3], cells[0, 4], np.nansum(cells)) == (2, 0, 2)
    directions = output.images[0].get_array()
    assert (directions[1, 2], directions.sum()) == (2, 2)
    frame = output.patches[-1]
    assert (frame.get_xy(), frame.get_visible()) == ((1.5, 0.5), True)


def test_asleep_there_is_nothing_to_see_and_nothing_chosen(axes):
    world, view, _, output = axes(1, awake=np.array([True, False, False, False, False]))
    assert "asleep" in texts(world)
    assert not np.any(view.images[0].get_array())
    assert not output.patches[-1].get_visible()


def test_without_a_task_all_that_was_eaten_is_counted(axes):
    world = axes(4, has_task=False, outcome=np.array([0, 3, 0, 3, 3]))[0]
    assert texts(world) == ["epoch 104", "", "3 eaten"]


def test_a_title_is_written_as_it_is_and_ends_in_its_scene():
    for title, shown in ((r"$\frac{a_b $ \ x^2 %", r"$\frac{a_b $ \ x^2 %"), ("title " * 20, "title " * 6 + "title…")):
        with style.applied():
            animated = AnimatedFigure([scene(title=title), scene()], small_print=title)
            animated.figure.canvas.draw()
        label = animated.figure.axes[0]._left_title
        assert label.get_text() == shown
        assert label.get_window_extent().x1 <= animated.figure.bbox.x1 / 2
        assert title.strip() in " ".join(animated.figure.texts[0].get_text().split())


def test_a_gif_has_a_frame_per_epoch_of_the_shortest_scene(tmp_path):
    heard = []
    write_animation(tmp_path / "a.gif", [scene(5), scene(4)], frames_per_second=5, small_print="a test", progress=heard.append)
    with Image.open(tmp_path / "a.gif") as image:
        assert (image.format, image.n_frames, image.info["duration"], image.info["loop"]) == ("GIF", 4, 200, 0)
        assert image.width == 2 * animation.WIDTH
        first = np.asarray(image.convert("RGB"), int)
        image.seek(3)
        assert np.abs(np.asarray(image.convert("RGB"), int) - first).max() > 100
    assert heard == [1, 2, 3, 4]
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_a_frame_is_what_drawing_the_whole_figure_anew_gives():
    with style.applied():
        animated = AnimatedFigure([scene(), scene(awake=np.array([True, False, True, True, True]))], "a test")
        for k in (3, 1):
            frame = animated.pixels(k)
            anew = AnimatedFigure([scene(), scene(awake=np.array([True, False, True, True, True]))], "a test")
            anew.show(k)
            anew.figure.canvas.draw()
            difference = np.abs(np.array(anew.figure.canvas.buffer_rgba())[..., :3].astype(int) - frame)
            assert difference.max() == 0


def test_a_gif_keeps_the_colours(tmp_path):
    write_animation(tmp_path / "a.gif", [scene(5)])
    with style.applied():
        animated = AnimatedFigure([scene(5)])
        with Image.open(tmp_path / "a.gif") as image:
            for k in range(5):
                image.seek(k)
                difference = np.abs(np.asarray(image.convert("RGB"), int) - animated.pixels(k))
                assert difference[0, 0].max() == 0  # the white beside the panels
                assert np.percentile(difference, 99.9) <= 4
                assert difference.max() < 64  # edges of letters


def test_ffmpeg_gets_the_pixels_of_every_frame(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ffmpeg").write_text(f'#!/bin/sh\nfor last in "$@"; do :; done\ncat > "$last"\necho "$@" > {tmp_path}/called\n')
    (folder / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    write_animation(tmp_path / "a.mp4", [scene(3)])
    with style.applied():
        frame = AnimatedFigure([scene(3)]).pixels(2)
    assert f"-pix_fmt rgb24 -s {frame.shape[1]}x{frame.shape[0]} -r 10 " in (tmp_path / "called").read_text()
    pixels = np.fromfile(tmp_path / "a.mp4", np.uint8).reshape(3, *frame.shape)
    np.testing.assert_array_equal(pixels[2], frame)
    assert frame.shape[0] % 2 == frame.shape[1] % 2 == 0


def test_what_goes_wrong_leaves_no_file(tmp_path):
    def stop(frame):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_animation(tmp_path / "a.gif", [scene()], progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.png", "a"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(AnimationError, match=r"allowed is a file that ends in \.gif or \.mp4"):
        write_animation(tmp_path / name, [scene()])


@pytest.mark.parametrize("speed", [0, 51])
def test_speeds_out_of_range_are_refused(tmp_path, speed):
    with pytest.raises(AnimationError, match=f"--fps: {speed} given, allowed is 1 to 50"):
        write_animation(tmp_path / "a.gif", [scene()], frames_per_second=speed)


def test_mp4_without_ffmpeg_names_the_alternative(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnimationError, match=r"a\.mp4 needs the program ffmpeg, which was not found; a \.gif does not"):
        write_animation(tmp_path / "a.mp4", [scene()])
    assert list(tmp_path.iterdir()) == []


def test_mp4_is_written_where_there_is_ffmpeg(tmp_path):
    if not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg")
    write_animation(tmp_path / "a.mp4", [scene()])
    assert (tmp_path / "a.mp4").read_bytes()[4:8] == b"ftyp"


def test_an_ffmpeg_that_fails_is_one_line(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ffmpeg").write_text("#!/bin/sh\nexit 3\n")
    (folder / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    with pytest.raises(AnimationError, match=r"a\.mp4: ffmpeg failed: exit code 3"):
        write_animation(tmp_path / "a.mp4", [scene()])
    assert list(tmp_path.iterdir()) == [folder]
