"""Rules of the grid world against hand-computed cases and an independent pure-Python placement."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from foraging_snn.environments import world
from foraging_snn.environments.draws import Stream, integer, stream_key, uniform
from foraging_snn.environments.particles import (
    PAPER_PARTICLES,
    PARTICLES,
    Particle,
    find_particle,
    particle_shapes,
    present_types,
    type_numbers,
)
from foraging_snn.environments.tasks import TASKS, Outcome, Task, find_task, outcomes, reward_of
from foraging_snn.environments.world import view  # Numba reads an attribute call .view() as NumPy's

HORIZONTAL, VERTICAL, POSITIVE, NEGATIVE = range(1, 5)
SECOND_SQUARE = {HORIZONTAL: (1, 0), VERTICAL: (0, 1), POSITIVE: (1, 1), NEGATIVE: (1, -1)}
PAIRS = "allowed are 1 to 5 pairs of whole numbers such as [[0, 0], [2, 1]]"
PAPER = ("horizontal", "vertical", "positive diagonal", "negative diagonal")
TYPES = {"all": PAPER_PARTICLES, "task 1": TASKS["T1"].particles, "task 2": TASKS["T2"].particles}
PRESENT = {name: present_types(type_numbers(types), 4) for name, types in TYPES.items()}


def empty_world(size):
    """A world that can hold the types of the paper."""
    return world.empty_world(size, PAPER_PARTICLES)


def world_key(seed, epoch=0):
    return stream_key(seed, Stream.WORLD, epoch)


def new_key(seed, epoch=0):
    return stream_key(seed, Stream.NEW_PARTICLE, epoch)


def world_with(size, *particles):
    """World holding the given (x, y, type), written without the functions under test."""
    made = empty_world(size)
    for x, y, particle_type in particles:
        dx, dy = SECOND_SQUARE[particle_type]
        made.grid[y, x] = made.grid[y + dy, x + dx] = particle_type
        made.part[y + dy, x + dx] = 1
    return made


def particles_of(found_in):
    """Particles as sorted (x, y, type); fails unless every patch of food is exactly one particle, its second square marked."""
    grid = found_in.grid
    food = {(int(x), int(y)): int(grid[y, x]) for y, x in np.argwhere(grid != 0)}
    found = []
    while food:
        (x, y), particle_type = food.popitem()
        touching = [
            (x + dx, y + dy)
            for dx in (-1, 0, 1)
            for dy in (-1, 0, 1)
            if (dx, dy) != (0, 0) and 0 <= x + dx < len(grid) and 0 <= y + dy < len(grid) and grid[y + dy, x + dx]
        ]
        assert len(touching) == 1, f"square {(x, y)} touches {touching}"
        partner = touching[0]
        assert food.pop(partner) == particle_type
        dx, dy = SECOND_SQUARE[particle_type]
        anchors = [a for a, b in (((x, y), partner), (partner, (x, y))) if (a[0] + dx, a[1] + dy) == b]
        assert len(anchors) == 1, f"{(x, y)} and {partner} are not a particle of type {particle_type}"
        found.append((*anchors[0], particle_type))
    assert found_in.part.tolist() == world_with(len(grid), *found).part.tolist()
    return sorted(found)


def place_by_hand(squares, size, particle_type, key, attempt):
    """The placement rule of docs/conventions.md on a set of occupied squares; returns the next attempt number."""
    dx, dy = SECOND_SQUARE[particle_type]
    while True:
        x, y = integer(key, 2 * attempt, size), integer(key, 2 * attempt + 1, size)
        attempt += 1
        both = [(x, y), (x + dx, y + dy)]
        inside = all(0 <= a < size and 0 <= b < size for a, b in both)
        near = {(a + i, b + j) for a, b in both for i in (-1, 0, 1) for j in (-1, 0, 1)}
        if inside and not near & squares:
            squares.update(both)
            return attempt, (x, y, particle_type)


class TestParticles:
    def test_the_first_four_types_are_those_of_the_conventions(self):
        assert tuple(PARTICLES)[:4] == tuple(particle.name for particle in PAPER_PARTICLES) == PAPER
        assert [particle.offsets for particle in PAPER_PARTICLES] == [((0, 0), step) for step in SECOND_SQUARE.values()]

    def test_eight_types_of_two_squares_follow_and_each_of_them_is_in_one_task(self):
        further = [particle.offsets[1] for particle in list(PARTICLES.values())[4:]]
        assert further == [(2, 0), (0, 2), (2, 1), (1, 2), (2, -1), (1, -2), (2, 2), (2, -2)]
        in_tasks = [particle.name for task in TASKS.values() for particle in task.particles]
        assert sorted(in_tasks) == sorted(PARTICLES)

    def test_offsets_may_be_lists_and_an_equal_type_is_the_same(self):
        assert Particle("bar", [[0, 0], [1, 0], [2, 0]]) == Particle("bar", ((0, 0), (np.int64(1), 0), (2, 0)))
        assert Particle("bar", ((0, 0), (0, -1), (-2, 1))).extent == (3, 3)
        assert Particle("dot", ((0, 0),)).squares_at(3, 4) == [(3, 4)]

    @pytest.mark.parametrize(
        ("name", "offsets", "message"),
        [
            ("a.b", ((0, 0),), "particles.*: name 'a.b' given, allowed are up to 40 letters, digits, spaces, _, -; a letter first"),
            (
                "x" * 41,
                ((0, 0),),
                f"particles.*: name '{'x' * 41}' given, allowed are up to 40 letters, digits, spaces, _, -; a letter first",
            ),
            (3, ((0, 0),), "particles.*: name 3 given, allowed are up to 40 letters, digits, spaces, _, -; a letter first"),
            ("L", (), f"particles.L.offsets: () given, {PAIRS}"),
            ("L", "ab", f"particles.L.offsets: 'ab' given, {PAIRS}"),
            (
                "L",
                ((0, 0), (1,)),
                f"particles.L.offsets: ((0, 0), (1,)) given, {PAIRS}",
            ),
            (
                "L",
                ((0, 0), (1, 0.5)),
                f"particles.L.offsets: ((0, 0), (1, 0.5)) given, {PAIRS}",
            ),
            (
                "L",
                ((0, 0), (True, 0)),
                f"particles.L.offsets: ((0, 0), (True, 0)) given, {PAIRS}",
            ),
            ("L", ((1, 0), (0, 0)), "particles.L.offsets: ((1, 0), (0, 0)) given, allowed is [0, 0] as the first square"),
            ("L", ((0, 0), (0, 0)), "particles.L.offsets: ((0, 0), (0, 0)) given, allowed is every square once"),
            ("L", ((0, 0), (31, 0)), "particles.L.offsets: ((0, 0), (31, 0)) given, allowed are numbers from -30 to 30"),
            (
                "L",
                [(k, 0) for k in range(6)],
                "particles.L.offsets: [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)] given, allowed are at most 5 squares",
            ),
        ],
    )
    def test_what_is_no_type_is_refused_in_one_line(self, name, offsets, message):
        with pytest.raises(ValueError) as error:
            Particle(name, offsets)
        assert str(error.value) == message

    def test_types_with_the_same_squares_are_recognised_whichever_square_is_first(self):
        corner = Particle("corner", ((0, 0), (1, 0), (1, 1)))
        assert corner.has_squares_of(Particle("other", ((0, 0), (-1, -1), (0, -1))))
        assert not corner.has_squares_of(Particle("other", ((0, 0), (1, 0), (0, 1))))

    def test_types_are_found_by_name_and_numbered_by_their_place(self):
        corner = Particle("corner", ((0, 0), (1, 0), (1, 1)))
        assert find_particle("vertical") is find_particle(PARTICLES["vertical"]) is PARTICLES["vertical"]
        assert find_particle("corner", {"corner": corner}) is corner
        for wrong in ("Vertical", 1, None):
            with pytest.raises(ValueError, match=f"^{wrong!r} is no type of particle, allowed are horizontal, vertical, "):
                find_particle(wrong)
        assert type_numbers([PARTICLES["steep fall"], PARTICLES["horizontal"]]) == [10, 1]
        assert type_numbers([corner], [*PARTICLES.values(), corner]) == [13]
        with pytest.raises(
            ValueError, match="^particles.corner: with the squares .* not in the table of types, which holds horizontal, "
        ):
            type_numbers([corner])

    def test_shapes_have_a_row_for_every_type_and_none_for_an_empty_square(self):
        offsets, squares = particle_shapes([PARTICLES["horizontal"], Particle("corner", ((0, 0), (1, 0), (1, 1)))])
        assert squares.tolist() == [0, 2, 3]
        assert offsets.tolist() == [[[0, 0]] * 3, [[0, 0], [1, 0], [0, 0]], [[0, 0], [1, 0], [1, 1]]]


class TestTasks:
    def test_tasks_reward_and_punish_as_in_the_paper(self):
        table = [(task.name, type_numbers(task.rewarded), type_numbers(task.punished)) for task in TASKS.values()]
        assert table[:2] == [("T1", [HORIZONTAL], [NEGATIVE]), ("T2", [VERTICAL], [POSITIVE])]
        assert [name for name, _, _ in table] == list(TASKS) == ["T1", "T2", "T3", "T4", "T5", "T6"]
        assert PRESENT["task 1"].tolist() == [False, True, False, False, True]
        assert PRESENT["task 2"].tolist() == [False, False, True, True, False]
        assert PRESENT["all"].tolist() == [False, True, True, True, True]

    def test_a_task_may_reward_and_punish_any_number_of_types_and_contradict_another(self):
        corner = Particle("corner", ((0, 0), (1, 0), (1, 1)))
        task = Task("T7", rewarded=("negative diagonal", corner), punished=["horizontal"])
        assert task.particles == (PARTICLES["negative diagonal"], corner, PARTICLES["horizontal"])
        numbers = [type_numbers(types, [*PAPER_PARTICLES, corner]) for types in (task.rewarded, task.punished)]
        assert outcomes(5, *numbers).tolist() == [0, 2, 3, 3, 1, 1]
        assert Task("only_good", rewarded=("horizontal",)).particles == (PARTICLES["horizontal"],)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("T3", ("hexagon",), ()), "^tasks.T3.rewarded: 'hexagon' is no type of particle, allowed are horizontal, vertical, "),
            (("T3", (1,), ()), "^tasks.T3.rewarded: 1 is no type of particle, allowed are horizontal, vertical, "),
            (("T3", ("vertical",), 2), "^tasks.T3.punished: 2 given, allowed is a list of types of particle$"),
            (("T3", "vertical", ()), "^tasks.T3.rewarded: 'vertical' given, allowed is a list of types of particle$"),
            (("T3", (), ()), "^tasks.T3.rewarded: none given, allowed is at least one type of particle$"),
            (("T3", (), ("vertical",)), "^tasks.T3.rewarded: none given, allowed is at least one type of particle$"),
            (
                ("T3", ("vertical",), ("vertical",)),
                "^tasks.T3: vertical is named twice, allowed is every type once, rewarded or punished$",
            ),
            (
                ("T3", ("vertical", "vertical"), ()),
                "^tasks.T3: vertical is named twice, allowed is every type once, rewarded or punished$",
            ),
            (
                ("T 3", ("vertical",), ()),
                r"^tasks.\*: name 'T 3' given, allowed is one word of up to 40 letters and digits such as 'T3'$",
            ),
            ((3, ("vertical",), ()), r"^tasks.\*: name 3 given, "),
        ],
    )
    def test_a_task_that_cannot_be_is_refused_in_one_line(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            Task(*arguments)

    def test_tasks_are_found_by_name_and_number(self):
        task = TASKS["T2"]
        assert find_task("T2") is find_task(2) is find_task(np.int64(2)) is find_task(task) is task
        assert find_task(1, {"other": TASKS["T6"]}) is TASKS["T6"]
        for wrong in ("t2", 0, 7, True, 1.0, None):
            with pytest.raises(
                ValueError, match=f"^task: {wrong!r} given, allowed are T1, T2, T3, T4, T5, T6 or their numbers 1 to 6$"
            ):
                find_task(wrong)

    @pytest.mark.parametrize(
        ("eaten", "outcome"),
        [
            (0, Outcome.NOTHING),
            (HORIZONTAL, Outcome.REWARDED),
            (NEGATIVE, Outcome.PUNISHED),
            (VERTICAL, Outcome.OTHER),
            (POSITIVE, Outcome.OTHER),
        ],
    )
    def test_outcomes_of_task_1(self, eaten, outcome):
        task = TASKS["T1"]
        assert outcomes(12, type_numbers(task.rewarded), type_numbers(task.punished))[eaten] == outcome

    def test_without_a_task_every_particle_is_outside_it(self):
        assert outcomes(4).tolist() == [0, 3, 3, 3, 3]

    def test_reward_of_each_outcome(self):
        rewards = [reward_of(int(outcome), 1.0, -0.001, -0.0001) for outcome in Outcome]
        assert rewards == [-0.0001, 1.0, -0.001, -0.0001]


class TestParticlesPerType:
    @pytest.mark.parametrize(
        ("size", "density", "n_types", "expected"),
        [
            (50, 0.1, 4, 32),  # 31.25
            (50, 0.1, 2, 63),  # 62.5
            (20, 0.1, 4, 5),  # 5 exactly
            (20, 0.1, 2, 10),  # 10 exactly
            (10, 0.07, 1, 4),  # 3.5
            (100, 0.07, 1, 350),  # 350 exactly; 0.07 * 100**2 is 700.0000000000001 in floating point
            (10, 0.14, 1, 7),  # 7 exactly; 0.14 * 10**2 is 14.000000000000002 in floating point
            (12, 0.1, 4, 2),  # 1.8
            (50, 1e-5, 4, 1),
            (50, np.float64(0.1), 4, 32),
            (50, 0, 4, 0),
        ],
    )
    def test_is_the_exact_quotient_rounded_up(self, size, density, n_types, expected):
        assert world.particles_per_type(size, density, PAPER_PARTICLES[:n_types]) == expected

    @given(st.integers(1, 200), st.integers(1, 4), st.integers(1, 999))
    def test_whole_numbers_are_never_pushed_up(self, size, n_types, thousandths):
        expected = -(-thousandths * size * size // (1000 * 2 * n_types))
        assert world.particles_per_type(size, thousandths / 1000, PAPER_PARTICLES[:n_types]) == expected

    def test_types_of_more_squares_are_fewer(self):
        types = [Particle("dot", ((0, 0),)), Particle("bar", ((0, 0), (1, 0), (2, 0), (3, 0)))]
        assert world.particles_per_type(50, 0.1, types) == 50  # 250 squares of food
        assert world.particles_per_type(50, 0.1, types[1:]) == 63  # 62.5


class TestCanPlace:
    @pytest.mark.parametrize(
        ("particle_type", "n_anchors"),
        [(HORIZONTAL, 4 * 5), (VERTICAL, 5 * 4), (POSITIVE, 4 * 4), (NEGATIVE, 4 * 4)],
    )
    def test_empty_grid_takes_every_particle_that_does_not_straddle_the_edge(self, particle_type, n_anchors):
        grid = empty_world(5)
        free = [(x, y) for x in range(-2, 7) for y in range(-2, 7) if world.can_place(grid, x, y, particle_type)]
        dx, dy = SECOND_SQUARE[particle_type]
        assert free == [(x, y) for x in range(5) for y in range(5) if 0 <= x + dx < 5 and 0 <= y + dy < 5]
        assert len(free) == n_anchors

    def test_corners_take_only_what_points_inwards(self):
        grid = empty_world(5)
        takes = {(x, y): [t for t in SECOND_SQUARE if world.can_place(grid, x, y, t)] for x in (0, 4) for y in (0, 4)}
        assert takes == {
            (0, 0): [HORIZONTAL, VERTICAL, POSITIVE],
            (4, 0): [VERTICAL],
            (0, 4): [HORIZONTAL, NEGATIVE],
            (4, 4): [],
        }

    def test_neighbours_of_both_squares_must_be_empty_diagonals_included(self):
        grid = empty_world(7)
        grid.grid[3, 3] = VERTICAL
        # A horizontal particle needs both squares outside the 3 x 3 block around (3, 3): anchor x in {0, 5} if its row
        # is 2, 3 or 4, any of 0 ... 5 otherwise.
        for y in range(7):
            free = [x for x in range(7) if world.can_place(grid, x, y, HORIZONTAL)]
            assert free == ([0, 5] if y in (2, 3, 4) else [0, 1, 2, 3, 4, 5])
        assert not world.can_place(grid, 4, 4, POSITIVE)  # touches by a corner
        assert not world.can_place(grid, 1, 1, POSITIVE)  # its second square touches by a corner
        assert world.can_place(grid, 0, 0, POSITIVE)
        assert world.can_place(grid, 5, 5, POSITIVE)

    def test_neighbourhood_does_not_wrap_around_the_edge(self):
        grid = world_with(7, (5, 3, HORIZONTAL))  # covers (5, 3) and (6, 3)
        assert world.can_place(grid, 0, 3, HORIZONTAL)
        assert world.can_place(world_with(7, (3, 5, VERTICAL)), 3, 0, VERTICAL)


class TestDrawing:
    @pytest.mark.parametrize("particle_type", list(SECOND_SQUARE))
    def test_place_particle_takes_the_first_attempt_that_fits(self, particle_type):
        for seed in range(50):
            grid = world_with(8, (3, 3, HORIZONTAL))
            squares = {(3, 3), (4, 3)}
            attempt, particle = place_by_hand(squares, 8, particle_type, world_key(seed), 4)
            assert world.place_particle(grid, particle_type, world_key(seed), 4) == attempt
            assert particles_of(grid) == sorted([(3, 3, HORIZONTAL), particle])

    def test_place_particle_gives_up_on_a_full_grid_and_leaves_it_alone(self):
        grid = world_with(3, (0, 1, HORIZONTAL))
        before = grid.grid.copy()
        assert world.place_particle(grid, VERTICAL, world_key(0), 0) == -1
        assert np.array_equal(grid.grid, before)

    @pytest.mark.parametrize("name", list(PRESENT))
    @pytest.mark.parametrize("size", [12, 50])
    def test_draw_world_follows_the_conventions_draw_for_draw(self, name, size):
        present = PRESENT[name]
        per_type = world.particles_per_type(size, 0.1, TYPES[name])
        for seed in range(5):
            grid = empty_world(size)
            grid.grid[:], grid.part[:] = 4, 1  # what was there before is cleared
            assert world.draw_world(grid, present, per_type, world_key(seed, 600))
            squares, attempt, expected = set(), 0, []
            for particle_type in np.flatnonzero(present):
                for _ in range(per_type):
                    attempt, particle = place_by_hand(squares, size, int(particle_type), world_key(seed, 600), attempt)
                    expected.append(particle)
            assert particles_of(grid) == sorted(expected)

    def test_worlds_of_the_paper_hold_the_papers_numbers(self):
        for name, counts in {
            "all": {HORIZONTAL: 32, VERTICAL: 32, POSITIVE: 32, NEGATIVE: 32},
            "task 1": {HORIZONTAL: 63, NEGATIVE: 63},
            "task 2": {VERTICAL: 63, POSITIVE: 63},
        }.items():
            grid = empty_world(50)
            per_type = world.particles_per_type(50, 0.1, TYPES[name])
            assert world.draw_world(grid, PRESENT[name], per_type, world_key(1))
            assert Counter(particle_type for _, _, particle_type in particles_of(grid)) == counts

    def test_draw_world_reports_failure(self):
        assert not world.draw_world(empty_world(6), PRESENT["all"], 5, world_key(0))

    def test_nothing_present_is_an_empty_world(self):
        grid = empty_world(6)
        grid.grid[:], grid.part[:] = 2, 1
        assert world.draw_world(grid, present_types((), 4), 5, world_key(0))
        assert not grid.grid.any() and not grid.part.any()
        assert grid.grid.dtype == grid.part.dtype == np.int8

    @given(st.integers(0, 2**63 - 1), st.integers(8, 40), st.sampled_from(list(PRESENT)), st.floats(0.01, 0.15))
    @settings(max_examples=150, deadline=None)
    def test_drawn_particles_never_touch_straddle_or_miscount(self, seed, size, name, density):
        present = PRESENT[name]
        n_types = int(present.sum())
        per_type = world.particles_per_type(size, density, TYPES[name])
        grid = empty_world(size)
        complete = world.draw_world(grid, present, per_type, world_key(seed))
        counts = Counter(particle_type for _, _, particle_type in particles_of(grid))
        if 2 * n_types * per_type <= 0.14 * size * size:
            assert complete
        if complete:
            assert counts == {int(particle_type): per_type for particle_type in np.flatnonzero(present)}
        else:
            assert max(counts.values()) <= per_type

    def test_anchors_are_spread_evenly(self):
        # Of a lone horizontal particle every anchor x in 0 ... 8 and y in 0 ... 9 is equally likely.
        n = 9000
        counts = Counter()
        for seed in range(n):
            grid = empty_world(10)
            world.place_particle(grid, HORIZONTAL, world_key(seed), 0)
            counts[int(np.flatnonzero(grid.grid)[0])] += 1
        assert len(counts) == 90
        chi_square = sum((count - 100) ** 2 / 100 for count in counts.values())
        assert abs(chi_square - 89) < 4 * math.sqrt(2 * 89)

    @pytest.mark.parametrize("name", list(PRESENT))
    def test_worlds_up_to_the_maximal_density_can_be_drawn(self, name):
        present = PRESENT[name]
        n_types = int(present.sum())
        for size in [*range(10, 31), 50, 100]:
            per_type = int(world.MAX_DENSITY * size * size / (2 * n_types))
            grid = empty_world(size)
            failures = sum(not world.draw_world(grid, present, per_type, world_key(seed)) for seed in range(200))
            assert failures == 0, f"{failures} of 200 worlds of {size} x {size} failed"


class TestEating:
    @pytest.mark.parametrize("particle_type", list(SECOND_SQUARE))
    @pytest.mark.parametrize("half", [0, 1])
    def test_either_square_removes_the_whole_particle(self, particle_type, half):
        dx, dy = SECOND_SQUARE[particle_type]
        others = [(0, 0, HORIZONTAL), (0, 7, HORIZONTAL), (7, 0, VERTICAL)]
        grid = world_with(9, (3, 4, particle_type), *others)
        assert world.remove_particle(grid, 3 + half * dx, 4 + half * dy) == particle_type
        assert particles_of(grid) == sorted(others)

    def test_a_particle_of_the_same_type_two_squares_on_stays(self):
        grid = world_with(9, (1, 4, HORIZONTAL), (4, 4, HORIZONTAL))
        assert world.remove_particle(grid, 4, 4) == HORIZONTAL
        assert particles_of(grid) == [(1, 4, HORIZONTAL)]

    @pytest.mark.parametrize(
        ("particle", "square"),
        [
            ((0, 0, HORIZONTAL), (0, 0)),
            ((5, 6, HORIZONTAL), (6, 6)),
            ((0, 5, VERTICAL), (0, 6)),
            ((6, 0, VERTICAL), (6, 0)),
            ((5, 5, POSITIVE), (6, 6)),
            ((0, 0, POSITIVE), (0, 0)),
            ((5, 1, NEGATIVE), (6, 0)),
            ((0, 6, NEGATIVE), (0, 6)),
        ],
    )
    def test_particles_at_the_border_are_eaten_whole(self, particle, square):
        grid = world_with(7, particle)
        assert world.remove_particle(grid, *square) == particle[2]
        assert not grid.grid.any() and not grid.part.any()

    def test_an_empty_square_feeds_nobody(self):
        grid = world_with(7, (0, 0, HORIZONTAL))
        before = grid.grid.copy()
        assert world.remove_particle(grid, 3, 3) == 0
        assert world.eat(grid, 3, 3, new_key(0)) == 0
        assert np.array_equal(grid.grid, before)

    @pytest.mark.parametrize("particle_type", list(SECOND_SQUARE))
    def test_a_new_particle_of_the_type_appears_by_the_conventions(self, particle_type):
        for epoch in range(30):
            grid = world_with(9, (3, 4, particle_type), (7, 0, VERTICAL))
            _, particle = place_by_hand({(7, 0), (7, 1)}, 9, particle_type, new_key(5, epoch), 0)
            assert world.eat(grid, 3, 4, new_key(5, epoch)) == particle_type
            assert particles_of(grid) == sorted([particle, (7, 0, VERTICAL)])

    def test_the_place_of_the_eaten_particle_is_free_for_the_new_one(self):
        # On 3 x 3 squares a horizontal particle in the middle row leaves place for no other; once eaten, for all six.
        anchors = set()
        for epoch in range(100):
            grid = world_with(3, (0, 1, HORIZONTAL))
            assert world.eat(grid, 1, 1, new_key(0, epoch)) == HORIZONTAL
            ((x, y, _),) = particles_of(grid)
            anchors.add((x, y))
        assert anchors == {(x, y) for x in (0, 1) for y in (0, 1, 2)}

    def test_a_particle_that_appears_under_the_agent_is_eaten_only_at_its_next_move_which_may_be_staying(self):
        epoch = next(e for e in range(1000) if world_after_eating(e).grid[4, 3] != 0)
        grid = world_after_eating(epoch)
        assert len(particles_of(grid)) == 1
        x, y = world.move_agent(3, 4, world.STAY, 9)
        assert (x, y) == (3, 4)
        assert world.eat(grid, x, y, new_key(1, epoch + 1)) == VERTICAL


def world_after_eating(epoch):
    grid = world_with(9, (3, 4, VERTICAL))
    assert world.eat(grid, 3, 4, new_key(1, epoch)) == VERTICAL
    return grid


# Types of one to five squares, some of which lie apart, or would be taken for another particle of the same type.
MIXED = (
    PARTICLES["horizontal gap"],
    PARTICLES["steep fall"],
    Particle("dot", ((0, 0),)),
    Particle("corner", ((0, 0), (-1, 0), (-1, 1))),
    Particle("cross", ((0, 0), (2, 0), (-2, 0), (0, 2), (0, -2))),
)


def mixed_by_hand(size, placed):
    """Grid and parts of particles (x, y, type) of MIXED."""
    grid, part = np.zeros((2, size, size), int)
    for x, y, number in placed:
        for k, (column, row) in enumerate(MIXED[number - 1].squares_at(x, y)):
            grid[row, column], part[row, column] = number, k
    return grid, part


def place_mixed_by_hand(occupied, size, number, key, attempt):
    """The placement rule of docs/conventions.md on a set of occupied squares; the next attempt number and (x, y, type)."""
    while True:
        x, y = integer(key, 2 * attempt, size), integer(key, 2 * attempt + 1, size)
        attempt += 1
        squares = MIXED[number - 1].squares_at(x, y)
        near = {(a + i, b + j) for a, b in squares for i in (-1, 0, 1) for j in (-1, 0, 1)}
        if all(0 <= a < size and 0 <= b < size for a, b in squares) and not near & occupied:
            occupied.update(squares)
            return attempt, (x, y, number)


class TestAnyTypes:
    def test_two_particles_in_a_row_are_told_apart_by_the_parts(self):
        made = world.empty_world(12, MIXED[:1])
        for x in (0, 4, 8):  # . stands for empty: X.X.X.X.X.X - with gaps of one square within and between them
            made.grid[5, [x, x + 2]], made.part[5, x + 2] = 1, 1
        assert world.world_problem(made) == ""
        assert world.remove_particle(made, 6, 5) == 1
        assert np.flatnonzero(made.grid[5]).tolist() == [0, 2, 8, 10]
        assert world.remove_particle(made, 8, 5) == 1
        assert np.flatnonzero(made.grid[5]).tolist() == [0, 2]
        assert np.flatnonzero(made.part[5]).tolist() == [2]

    def test_worlds_are_drawn_and_eaten_from_by_the_conventions(self):
        size, present = 24, present_types(range(1, 6), 5)
        for seed in range(10):
            made, occupied, attempt, placed = world.empty_world(size, MIXED), set(), 0, []
            assert world.draw_world(made, present, 3, world_key(seed))
            for number in (1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5):
                attempt, particle = place_mixed_by_hand(occupied, size, number, world_key(seed), attempt)
                placed.append(particle)
            for epoch in range(20):
                grid, part = mixed_by_hand(size, placed)
                assert made.grid.tolist() == grid.tolist() and made.part.tolist() == part.tolist()
                assert world.world_problem(made) == ""
                x, y, number = placed.pop(epoch % 7)
                squares = MIXED[number - 1].squares_at(x, y)
                occupied.difference_update(squares)
                assert world.eat(made, *squares[epoch % len(squares)], new_key(seed, epoch)) == number
                placed.append(place_mixed_by_hand(occupied, size, number, new_key(seed, epoch), 0)[1])

    def test_parts_follow_from_the_types_of_the_paper(self):
        for seed in range(5):
            made = empty_world(30)
            assert world.draw_world(made, PRESENT["all"], 10, world_key(seed))
            assert world.parts_of_grid(made.grid, made.offsets, made.squares).tolist() == made.part.tolist()

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({("part", 0, 0): 1}, "grid_part has numbers of squares that no particle has"),
            ({("part", 4, 4): 5}, "grid_part has numbers of squares that no particle has"),
            ({("part", 4, 4): -1}, "grid_part has numbers of squares that no particle has"),
            ({("part", 4, 5): 0}, "grid and grid_part do not show whole particles"),
            ({("grid", 4, 5): 2}, "grid and grid_part do not show whole particles"),
            ({("grid", 8, 8): 1}, "grid_part has particles that lie across the edge"),
            ({("grid", 0, 0): 1, ("part", 0, 0): 1}, "grid_part has particles that lie across the edge"),
        ],
    )
    def test_worlds_that_cannot_be_are_recognised(self, changes, problem):
        made = world_with(9, (4, 4, HORIZONTAL))
        for (array, row, column), value in changes.items():
            getattr(made, array)[row, column] = value
        assert world.world_problem(made) == problem


class TestMoving:
    def test_moves_are_numbered_row_by_row_from_down_left(self):
        ends = [world.move_agent(5, 5, move, 50) for move in range(9)]
        assert ends == [(4, 4), (5, 4), (6, 4), (4, 5), (5, 5), (6, 5), (4, 6), (5, 6), (6, 6)]

    def test_the_world_is_a_torus_for_the_agent(self):
        assert world.move_agent(0, 0, 0, 50) == (49, 49)
        assert world.move_agent(49, 49, 8, 50) == (0, 0)
        assert world.move_agent(49, 0, 2, 50) == (0, 49)
        assert world.move_agent(0, 49, 6, 50) == (49, 0)
        assert world.move_agent(0, 25, 3, 50) == (49, 25)
        assert world.move_agent(25, 49, 7, 50) == (25, 0)


class TestView:
    def test_cells_are_numbered_row_by_row_from_the_lowest(self):
        grid = np.zeros((20, 20), dtype=np.int8)
        for dy in range(-3, 4):
            for dx in range(-3, 4):
                grid[:] = 0
                grid[10 + dy, 8 + dx] = 3
                out = np.full(49, 9, dtype=np.uint8)
                world.view(grid, 8, 10, 7, out)
                assert np.flatnonzero(out).tolist() == [(dy + 3) * 7 + (dx + 3)]
                assert set(out.tolist()) == {0, 1}

    def test_squares_outside_the_field_are_not_seen(self):
        grid = np.ones((20, 20), dtype=np.int8)
        grid[7:14, 5:12] = 0
        out = np.ones(49, dtype=np.int64)
        world.view(grid, 8, 10, 7, out)
        assert not out.any()

    @pytest.mark.parametrize("field", [1, 3, 5, 7])
    def test_view_wraps_around_every_edge(self, field):
        grid = (np.arange(81) % 5).astype(np.int8).reshape(9, 9)
        half = field // 2
        out = np.empty(field * field)
        for x in range(9):
            for y in range(9):
                world.view(grid, x, y, field, out)
                rolled = np.roll(grid, (half - y, half - x), axis=(0, 1))[:field, :field]
                assert np.array_equal(out.reshape(field, field), rolled != 0)

    def test_field_as_large_as_the_world_sees_every_square_once(self):
        grid = np.zeros((7, 7), dtype=np.int8)
        grid[0, 0] = grid[6, 6] = 1
        out = np.empty(49, dtype=np.int8)
        world.view(grid, 0, 6, 7, out)
        assert out.sum() == 2


class TestPolicy:
    tie_key = stream_key(9, Stream.DIRECTION_TIE, 4)

    @staticmethod
    def exploration_key(epoch):
        return stream_key(9, Stream.EXPLORATION, epoch)

    def test_the_most_active_output_cell_decides(self):
        for cell, move in enumerate([0, 1, 2, 3, 5, 6, 7, 8]):
            counts = np.ones(8, dtype=np.int64)
            counts[cell] = 2
            assert world.choose_move(counts, 4, 0, 2, self.tie_key, self.exploration_key(0)) == move

    @pytest.mark.parametrize("last_move", range(9))
    def test_silence_keeps_the_last_direction(self, last_move):
        counts = np.zeros(8, dtype=np.int64)
        assert world.choose_move(counts, last_move, 1, 2, self.tie_key, self.exploration_key(0)) == last_move

    def test_ties_take_the_drawn_one_of_the_largest_in_ascending_order(self):
        counts = np.array([1, 3, 0, 3, 3, 2, 0, 3])
        seen = set()
        for epoch in range(60):
            tie_key = stream_key(9, Stream.DIRECTION_TIE, epoch)
            expected = [1, 3, 5, 8][integer(tie_key, 0, 4)]
            assert world.choose_move(counts, 4, 0, 2, tie_key, self.exploration_key(epoch)) == expected
            seen.add(expected)
        assert seen == {1, 3, 5, 8}

    def test_ties_are_broken_evenly(self):
        counts = np.full(8, 2)
        n = 8000
        moves = Counter(
            world.choose_move(counts, 4, 0, 2, stream_key(1, Stream.DIRECTION_TIE, e), self.exploration_key(e)) for e in range(n)
        )
        assert sorted(moves) == [0, 1, 2, 3, 5, 6, 7, 8]
        assert max(abs(count - n / 8) for count in moves.values()) < 4 * math.sqrt(n / 8)

    @pytest.mark.parametrize(
        ("hunger", "percent"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (51, 25), (199, 99), (200, 100), (10**6, 100)]
    )
    def test_exploration_follows_hunger_draw_for_draw(self, hunger, percent):
        counts = np.array([0, 0, 5, 0, 0, 0, 0, 0])
        for epoch in range(400):
            key = self.exploration_key(epoch)
            explores = uniform(key, 0) < percent / 100
            expected = integer(key, 1, 9) if explores else 2
            assert world.choose_move(counts, 4, hunger, 2, self.tie_key, key) == expected

    def test_exploration_is_as_frequent_as_its_probability_and_includes_staying(self):
        counts = np.array([0, 0, 0, 0, 0, 0, 0, 1])
        n = 20_000
        moves = Counter(world.choose_move(counts, 4, 40, 2, self.tie_key, self.exploration_key(e)) for e in range(n))
        for move in range(8):
            expected = n * 0.2 / 9
            assert abs(moves[move] - expected) < 4 * math.sqrt(expected)
        assert moves[world.STAY] > 0


@njit
def world_is_sound(grid, per_type):
    """Whether every square of food belongs to one whole particle that touches no other, `per_type` of each type."""
    size = grid.shape[0]
    squares = np.zeros(5, dtype=np.int64)
    for y in range(size):
        for x in range(size):
            square = grid[y, x]
            if square == 0:
                continue
            squares[square] += 1
            touching = 0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    if (dx != 0 or dy != 0) and 0 <= x + dx < size and 0 <= y + dy < size and grid[y + dy, x + dx] != 0:
                        touching += 1
                        partner_dx, partner_dy, partner = dx, dy, grid[y + dy, x + dx]
            if touching != 1 or partner != square:
                return False
            if partner_dx < 0 or (partner_dx == 0 and partner_dy < 0):
                partner_dx, partner_dy = -partner_dx, -partner_dy
            if square == 1 and (partner_dx != 1 or partner_dy != 0):
                return False
            if square == 2 and (partner_dx != 0 or partner_dy != 1):
                return False
            if square == 3 and (partner_dx != 1 or partner_dy != 1):
                return False
            if square == 4 and (partner_dx != 1 or partner_dy != -1):
                return False
    return np.array_equal(squares, 2 * per_type)


@njit
def walk(found, per_type, seed, n_moves):
    """Random walk that checks everything after every move; returns the number of bites, or minus the failing move."""
    grid = found.grid
    size = grid.shape[0]
    x = y = size // 2
    seen = np.empty(49, dtype=np.uint8)
    before = grid.copy()
    bites = 0
    for n in range(n_moves):
        move = integer(stream_key(seed, Stream.EXPLORATION, n), 1, 9)
        new_x, new_y = world.move_agent(x, y, move, size)
        step_x = (new_x - x + 1) % size - 1
        step_y = (new_y - y + 1) % size - 1
        if not (0 <= new_x < size and 0 <= new_y < size and (step_y + 1) * 3 + step_x + 1 == move):
            return -n - 1
        x, y = new_x, new_y
        eaten = world.eat(found, x, y, stream_key(seed, Stream.NEW_PARTICLE, n))
        if eaten != before[y, x]:
            return -n - 1
        if eaten == 0:
            if not np.array_equal(grid, before):
                return -n - 1
        else:
            bites += 1
            # Two squares are emptied and two filled, all other particles stay as they are.
            if not world_is_sound(grid, per_type) or (grid != before).sum() > 4:
                return -n - 1
            before[:] = grid
        view(grid, x, y, 7, seen)
        for dy in range(-3, 4):
            for dx in range(-3, 4):
                if seen[(dy + 3) * 7 + dx + 3] != (grid[(y + dy) % size, (x + dx) % size] != 0):
                    return -n - 1
    return bites


def test_the_soundness_check_of_the_long_walk_notices_unsound_worlds():
    per_type = np.array([0, 1, 0, 0, 1])
    sound = world_with(9, (1, 1, HORIZONTAL), (4, 5, NEGATIVE)).grid
    assert world_is_sound(sound, per_type)
    assert not world_is_sound(sound, np.array([0, 1, 0, 0, 2]))
    assert not world_is_sound(world_with(9, (1, 1, HORIZONTAL), (2, 3, NEGATIVE)).grid, per_type)  # touch at a corner
    straddling = world_with(9, (4, 5, NEGATIVE)).grid
    straddling[1, 8] = straddling[1, 0] = HORIZONTAL
    assert not world_is_sound(straddling, per_type)
    wrong_shape = world_with(9, (1, 1, VERTICAL), (4, 5, NEGATIVE)).grid
    wrong_shape[wrong_shape == VERTICAL] = HORIZONTAL
    assert not world_is_sound(wrong_shape, per_type)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), [("all", 1), ("task 1", 2), ("task 2", 3)])
def test_a_million_random_moves_keep_every_invariant(name, seed):
    present = PRESENT[name]
    per_type = present * world.particles_per_type(50, 0.1, TYPES[name])
    grid = empty_world(50)
    assert world.draw_world(grid, present, per_type.max(), world_key(seed))
    assert world_is_sound(grid.grid, per_type)
    bites = walk(grid, per_type, seed, 1_000_000)
    assert bites >= 0, f"move {-bites - 1} broke the world"
    assert bites > 20_000  # a random walk mostly treads squares it has emptied; the rules were exercised all the same


@given(st.integers(0, 2**63 - 1), st.integers(10, 20), st.lists(st.integers(0, 8), max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_walk_in_a_crowded_little_world_keeps_its_particles(seed, size, moves):
    grid = empty_world(size)
    per_type = int(0.12 * size * size / 8)
    assert world.draw_world(grid, PRESENT["all"], per_type, world_key(seed))
    x = y = size // 2
    for epoch, move in enumerate(moves):
        x, y = world.move_agent(x, y, move, size)
        covered = int(grid.grid[y, x])
        assert world.eat(grid, x, y, new_key(seed, epoch)) == covered
        counts = Counter(particle_type for _, _, particle_type in particles_of(grid))
        assert counts == dict.fromkeys(SECOND_SQUARE, per_type)


class TestCheckWorld:
    def test_accepts_the_world_of_the_paper(self):
        for types in TYPES.values():
            world.check_world(50, 7, 0.1, types)
            world.check_world(np.int64(50), 7, np.float64(0.1), types)

    def test_worlds_of_types_that_take_much_room_are_tried(self):
        far = Particle("far", ((0, 0), (3, 0), (-3, 0), (0, 3), (0, -3)))
        bar = Particle("bar", ((0, 0), (1, 0), (2, 0), (3, 0), (4, 0)))
        world.check_world(50, 7, 0.1, [bar])
        world.check_world(50, 7, 0.05, [far])
        for task in TASKS.values():
            world.check_world(20, 7, 0.12, task.particles)
        with pytest.raises(
            ValueError, match="^density 0.1 means 50 particles of each of the types far; in 3 of up to 20 worlds of 50 x "
        ):
            world.check_world(50, 7, 0.1, [far])

    def test_a_particle_fits_into_the_field_of_view(self):
        wide, high = Particle("wide", ((0, 0), (-4, 0), (3, 0))), Particle("high", ((0, 0), (1, 6)))
        world.check_world(50, 9, 0.05, [wide])
        world.check_world(50, 7, 0.05, [high])
        with pytest.raises(
            ValueError, match="^field 7 is smaller than a particle 'wide', which takes 8 x 1 squares: choose a larger "
        ):
            world.check_world(50, 7, 0.1, [high, wide])
        with pytest.raises(ValueError, match="^field 5 is smaller than a particle 'high', which takes 2 x 7 squares: "):
            world.check_world(50, 5, 0.1, [high, wide])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((6, 7, 0.1), "size must be an integer of at least field = 7, got 6."),
            ((50.0, 7, 0.1), "size must be an integer of at least field = 7, got 50.0."),
            ((50, 6, 0.1), "field must be an odd integer of at least 1, got 6."),
            ((50, -1, 0.1), "field must be an odd integer of at least 1, got -1."),
            ((50, True, 0.1), "field must be an odd integer of at least 1, got True."),
            ((50, 7, 0), "density must be a number above 0 and at most 0.15, got 0."),
            ((50, 7, 0.16), "density must be a number above 0 and at most 0.15, got 0.16."),
            ((50, 7, float("nan")), "density must be a number above 0 and at most 0.15, got nan."),
            ((50, 7, "0.1"), "density must be a number above 0 and at most 0.15, got '0.1'."),
            (
                (9, 7, 0.1),
                "density 0.1 means 2 particles of each of 4 types, which cover 0.198 of 9 x 9 squares; "
                "at most 0.15 can be covered: choose a larger size or a smaller density.",
            ),
        ],
    )
    def test_rejects_with_one_line_that_says_what_is_allowed(self, arguments, message):
        with pytest.raises(ValueError) as error:
            world.check_world(*arguments)
        assert str(error.value) == message
