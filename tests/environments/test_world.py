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
from foraging_snn.environments.particles import PARTICLE_NAMES, PARTICLE_OFFSETS, ParticleType, present_types
from foraging_snn.environments.tasks import TASKS, Outcome, Task, find_task, outcomes, reward_of
from foraging_snn.environments.world import view  # Numba reads an attribute call .view() as NumPy's

HORIZONTAL, VERTICAL, POSITIVE, NEGATIVE = (int(particle_type) for particle_type in ParticleType)
SECOND_SQUARE = {HORIZONTAL: (1, 0), VERTICAL: (0, 1), POSITIVE: (1, 1), NEGATIVE: (1, -1)}
PRESENT = {
    "all": present_types(*ParticleType),
    "task 1": TASKS["T1"].present,
    "task 2": TASKS["T2"].present,
}


def world_key(seed, epoch=0):
    return stream_key(seed, Stream.WORLD, epoch)


def new_key(seed, epoch=0):
    return stream_key(seed, Stream.NEW_PARTICLE, epoch)


def grid_with(size, *particles):
    """Grid holding the given (x, y, type), written without the functions under test."""
    grid = np.zeros((size, size), dtype=np.int8)
    for x, y, particle_type in particles:
        dx, dy = SECOND_SQUARE[particle_type]
        grid[y, x] = particle_type
        grid[y + dy, x + dx] = particle_type
    return grid


def particles_of(grid):
    """Particles as sorted (x, y, type); fails unless every connected patch of food is exactly one particle."""
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


class TestParticlesAndTasks:
    def test_types_and_offsets_are_those_of_the_conventions(self):
        assert [int(particle_type) for particle_type in ParticleType] == [1, 2, 3, 4]
        assert PARTICLE_OFFSETS.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1], [1, -1]]
        assert list(PARTICLE_NAMES) == list(ParticleType)

    def test_tasks_reward_and_punish_as_in_the_paper(self):
        table = [(task.name, task.number, task.slot, task.rewarded, task.punished) for task in TASKS.values()]
        assert table == [("T1", 1, 0, (HORIZONTAL,), (NEGATIVE,)), ("T2", 2, 1, (VERTICAL,), (POSITIVE,))]
        assert TASKS["T1"].present.tolist() == [False, True, False, False, True]
        assert TASKS["T2"].present.tolist() == [False, False, True, True, False]
        assert PRESENT["all"].tolist() == [False, True, True, True, True]

    def test_a_task_may_reward_and_punish_any_number_of_types_and_contradict_another(self):
        task = Task("T3", rewarded=(4, VERTICAL), punished=[1])
        assert (task.rewarded, task.punished, task.types) == ((NEGATIVE, VERTICAL), (HORIZONTAL,), (HORIZONTAL, VERTICAL, NEGATIVE))
        assert task.present.tolist() == [False, True, True, False, True]
        assert outcomes(task.rewarded, task.punished).tolist() == [0, 2, 1, 3, 1]
        assert Task("only_good", rewarded=(HORIZONTAL,), punished=()).types == (HORIZONTAL,)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("T3", (5,), ()), r"^task T3: rewarded \(5,\) given, allowed is a tuple of particle types, 1 to 4$"),
            (("T3", (1,), 2), "^task T3: punished 2 given, allowed is a tuple of particle types, 1 to 4$"),
            (("T3", (), ()), "^task T3: no particle types given, at least one is rewarded or punished$"),
            (("T3", (1,), (2, 1)), "^task T3: a particle type is named twice; each is rewarded or punished once$"),
            (("T 3", (1,), ()), "^task: name 'T 3' given, allowed is one word of letters and digits such as 'T3'$"),
            ((3, (1,), ()), "^task: name 3 given, "),
        ],
    )
    def test_a_task_that_cannot_be_is_refused_in_one_line(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            Task(*arguments)

    def test_a_task_has_a_place_only_in_the_table(self, monkeypatch):
        third = Task("T3", (VERTICAL,), (HORIZONTAL,))
        with pytest.raises(ValueError, match="^task T3: not in the table of tasks, which holds T1, T2$"):
            _ = third.number
        monkeypatch.setitem(TASKS, "T3", third)
        assert (third.slot, third.number) == (2, 3)
        with pytest.raises(ValueError, match="^task T3: not in the table of tasks, which holds T1, T2, T3$"):
            _ = Task("T3", (VERTICAL,), (NEGATIVE,)).slot

    def test_tasks_are_found_by_name_and_number(self):
        task = TASKS["T2"]
        assert find_task("T2") is find_task(2) is find_task(np.int64(2)) is find_task(task) is task
        for wrong in ("t2", 0, 3, True, 1.0, None):
            with pytest.raises(ValueError, match=f"^task: {wrong!r} given, allowed are T1, T2 or their numbers 1, 2$"):
                find_task(wrong)

    def test_present_types_rejects_what_is_no_particle(self):
        with pytest.raises(ValueError, match="0"):
            present_types(0)

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
        assert outcomes(TASKS["T1"].rewarded, TASKS["T1"].punished)[eaten] == outcome

    def test_without_a_task_every_particle_is_outside_it(self):
        assert outcomes().tolist() == [0, 3, 3, 3, 3]

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
        assert world.particles_per_type(size, density, n_types) == expected

    @given(st.integers(1, 200), st.integers(1, 4), st.integers(1, 999))
    def test_whole_numbers_are_never_pushed_up(self, size, n_types, thousandths):
        expected = -(-thousandths * size * size // (1000 * 2 * n_types))
        assert world.particles_per_type(size, thousandths / 1000, n_types) == expected


class TestCanPlace:
    @pytest.mark.parametrize(
        ("particle_type", "n_anchors"),
        [(HORIZONTAL, 4 * 5), (VERTICAL, 5 * 4), (POSITIVE, 4 * 4), (NEGATIVE, 4 * 4)],
    )
    def test_empty_grid_takes_every_particle_that_does_not_straddle_the_edge(self, particle_type, n_anchors):
        grid = world.empty_world(5)
        free = [(x, y) for x in range(-2, 7) for y in range(-2, 7) if world.can_place(grid, x, y, particle_type)]
        dx, dy = SECOND_SQUARE[particle_type]
        assert free == [(x, y) for x in range(5) for y in range(5) if 0 <= x + dx < 5 and 0 <= y + dy < 5]
        assert len(free) == n_anchors

    def test_corners_take_only_what_points_inwards(self):
        grid = world.empty_world(5)
        takes = {(x, y): [t for t in SECOND_SQUARE if world.can_place(grid, x, y, t)] for x in (0, 4) for y in (0, 4)}
        assert takes == {
            (0, 0): [HORIZONTAL, VERTICAL, POSITIVE],
            (4, 0): [VERTICAL],
            (0, 4): [HORIZONTAL, NEGATIVE],
            (4, 4): [],
        }

    def test_neighbours_of_both_squares_must_be_empty_diagonals_included(self):
        grid = np.zeros((7, 7), dtype=np.int8)
        grid[3, 3] = VERTICAL
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
        grid = grid_with(7, (5, 3, HORIZONTAL))  # covers (5, 3) and (6, 3)
        assert world.can_place(grid, 0, 3, HORIZONTAL)
        assert world.can_place(grid_with(7, (3, 5, VERTICAL)), 3, 0, VERTICAL)


class TestDrawing:
    @pytest.mark.parametrize("particle_type", list(SECOND_SQUARE))
    def test_place_particle_takes_the_first_attempt_that_fits(self, particle_type):
        for seed in range(50):
            grid = grid_with(8, (3, 3, HORIZONTAL))
            squares = {(3, 3), (4, 3)}
            attempt, particle = place_by_hand(squares, 8, particle_type, world_key(seed), 4)
            assert world.place_particle(grid, particle_type, world_key(seed), 4) == attempt
            assert particles_of(grid) == sorted([(3, 3, HORIZONTAL), particle])

    def test_place_particle_gives_up_on_a_full_grid_and_leaves_it_alone(self):
        grid = grid_with(3, (0, 1, HORIZONTAL))
        before = grid.copy()
        assert world.place_particle(grid, VERTICAL, world_key(0), 0) == -1
        assert np.array_equal(grid, before)

    @pytest.mark.parametrize("name", list(PRESENT))
    @pytest.mark.parametrize("size", [12, 50])
    def test_draw_world_follows_the_conventions_draw_for_draw(self, name, size):
        present = PRESENT[name]
        per_type = world.particles_per_type(size, 0.1, int(present.sum()))
        for seed in range(5):
            grid = np.full((size, size), 4, dtype=np.int8)  # what was there before is cleared
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
            grid = world.empty_world(50)
            per_type = world.particles_per_type(50, 0.1, len(counts))
            assert world.draw_world(grid, PRESENT[name], per_type, world_key(1))
            assert Counter(particle_type for _, _, particle_type in particles_of(grid)) == counts

    def test_draw_world_reports_failure(self):
        assert not world.draw_world(world.empty_world(6), PRESENT["all"], 5, world_key(0))

    def test_nothing_present_is_an_empty_world(self):
        grid = np.full((6, 6), 2, dtype=np.int8)
        assert world.draw_world(grid, present_types(), 5, world_key(0))
        assert not grid.any()
        assert world.empty_world(6).dtype == np.int8

    @given(st.integers(0, 2**63 - 1), st.integers(8, 40), st.sampled_from(list(PRESENT)), st.floats(0.01, 0.15))
    @settings(max_examples=150, deadline=None)
    def test_drawn_particles_never_touch_straddle_or_miscount(self, seed, size, name, density):
        present = PRESENT[name]
        n_types = int(present.sum())
        per_type = world.particles_per_type(size, density, n_types)
        grid = world.empty_world(size)
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
            grid = world.empty_world(10)
            world.place_particle(grid, HORIZONTAL, world_key(seed), 0)
            counts[int(np.flatnonzero(grid)[0])] += 1
        assert len(counts) == 90
        chi_square = sum((count - 100) ** 2 / 100 for count in counts.values())
        assert abs(chi_square - 89) < 4 * math.sqrt(2 * 89)

    @pytest.mark.parametrize("name", list(PRESENT))
    def test_worlds_up_to_the_maximal_density_can_be_drawn(self, name):
        present = PRESENT[name]
        n_types = int(present.sum())
        for size in [*range(10, 31), 50, 100]:
            per_type = int(world.MAX_DENSITY * size * size / (2 * n_types))
            grid = world.empty_world(size)
            failures = sum(not world.draw_world(grid, present, per_type, world_key(seed)) for seed in range(200))
            assert failures == 0, f"{failures} of 200 worlds of {size} x {size} failed"


class TestEating:
    @pytest.mark.parametrize("particle_type", list(SECOND_SQUARE))
    @pytest.mark.parametrize("half", [0, 1])
    def test_either_square_removes_the_whole_particle(self, particle_type, half):
        dx, dy = SECOND_SQUARE[particle_type]
        others = [(0, 0, HORIZONTAL), (0, 7, HORIZONTAL), (7, 0, VERTICAL)]
        grid = grid_with(9, (3, 4, particle_type), *others)
        assert world.remove_particle(grid, 3 + half * dx, 4 + half * dy) == particle_type
        assert particles_of(grid) == sorted(others)

    def test_a_particle_of_the_same_type_two_squares_on_stays(self):
        grid = grid_with(9, (1, 4, HORIZONTAL), (4, 4, HORIZONTAL))
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
        grid = grid_with(7, particle)
        assert world.remove_particle(grid, *square) == particle[2]
        assert not grid.any()

    def test_an_empty_square_feeds_nobody(self):
        grid = grid_with(7, (0, 0, HORIZONTAL))
        before = grid.copy()
        assert world.remove_particle(grid, 3, 3) == 0
        assert world.eat(grid, 3, 3, new_key(0)) == 0
        assert np.array_equal(grid, before)

    @pytest.mark.parametrize("particle_type", list(SECOND_SQUARE))
    def test_a_new_particle_of_the_type_appears_by_the_conventions(self, particle_type):
        for epoch in range(30):
            grid = grid_with(9, (3, 4, particle_type), (7, 0, VERTICAL))
            _, particle = place_by_hand({(7, 0), (7, 1)}, 9, particle_type, new_key(5, epoch), 0)
            assert world.eat(grid, 3, 4, new_key(5, epoch)) == particle_type
            assert particles_of(grid) == sorted([particle, (7, 0, VERTICAL)])

    def test_the_place_of_the_eaten_particle_is_free_for_the_new_one(self):
        # On 3 x 3 squares a horizontal particle in the middle row leaves place for no other; once eaten, for all six.
        anchors = set()
        for epoch in range(100):
            grid = grid_with(3, (0, 1, HORIZONTAL))
            assert world.eat(grid, 1, 1, new_key(0, epoch)) == HORIZONTAL
            ((x, y, _),) = particles_of(grid)
            anchors.add((x, y))
        assert anchors == {(x, y) for x in (0, 1) for y in (0, 1, 2)}

    def test_a_particle_that_appears_under_the_agent_is_eaten_only_at_its_next_move_which_may_be_staying(self):
        epoch = next(e for e in range(1000) if world_after_eating(e)[4, 3] != 0)
        grid = world_after_eating(epoch)
        assert len(particles_of(grid)) == 1
        x, y = world.move_agent(3, 4, world.STAY, 9)
        assert (x, y) == (3, 4)
        assert world.eat(grid, x, y, new_key(1, epoch + 1)) == VERTICAL


def world_after_eating(epoch):
    grid = grid_with(9, (3, 4, VERTICAL))
    assert world.eat(grid, 3, 4, new_key(1, epoch)) == VERTICAL
    return grid


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
def walk(grid, per_type, seed, n_moves):
    """Random walk that checks everything after every move; returns the number of bites, or minus the failing move."""
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
        eaten = world.eat(grid, x, y, stream_key(seed, Stream.NEW_PARTICLE, n))
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
    sound = grid_with(9, (1, 1, HORIZONTAL), (4, 5, NEGATIVE))
    assert world_is_sound(sound, per_type)
    assert not world_is_sound(sound, np.array([0, 1, 0, 0, 2]))
    assert not world_is_sound(grid_with(9, (1, 1, HORIZONTAL), (2, 3, NEGATIVE)), per_type)  # touch at a corner
    straddling = grid_with(9, (4, 5, NEGATIVE))
    straddling[1, 8] = straddling[1, 0] = HORIZONTAL
    assert not world_is_sound(straddling, per_type)
    wrong_shape = grid_with(9, (1, 1, VERTICAL), (4, 5, NEGATIVE))
    wrong_shape[wrong_shape == VERTICAL] = HORIZONTAL
    assert not world_is_sound(wrong_shape, per_type)


@pytest.mark.parametrize(("name", "seed"), [("all", 1), ("task 1", 2), ("task 2", 3)])
def test_a_million_random_moves_keep_every_invariant(name, seed):
    present = PRESENT[name]
    per_type = present * world.particles_per_type(50, 0.1, int(present.sum()))
    grid = world.empty_world(50)
    assert world.draw_world(grid, present, per_type.max(), world_key(seed))
    assert world_is_sound(grid, per_type)
    bites = walk(grid, per_type, seed, 1_000_000)
    assert bites >= 0, f"move {-bites - 1} broke the world"
    assert bites > 20_000  # a random walk mostly treads squares it has emptied; the rules were exercised all the same


@given(st.integers(0, 2**63 - 1), st.integers(10, 20), st.lists(st.integers(0, 8), max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_walk_in_a_crowded_little_world_keeps_its_particles(seed, size, moves):
    grid = world.empty_world(size)
    per_type = int(0.12 * size * size / 8)
    assert world.draw_world(grid, PRESENT["all"], per_type, world_key(seed))
    x = y = size // 2
    for epoch, move in enumerate(moves):
        x, y = world.move_agent(x, y, move, size)
        covered = int(grid[y, x])
        assert world.eat(grid, x, y, new_key(seed, epoch)) == covered
        counts = Counter(particle_type for _, _, particle_type in particles_of(grid))
        assert counts == {int(particle_type): per_type for particle_type in ParticleType}


class TestCheckWorld:
    def test_accepts_the_world_of_the_paper(self):
        for n_types in (2, 4):
            world.check_world(50, 7, 0.1, n_types)
            world.check_world(np.int64(50), 7, np.float64(0.1), n_types)

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
