"""The Gymnasium environment: its interface, its seeding, its rewards and its pictures."""

import importlib
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from foraging_snn import environments
from foraging_snn.environments import rendering
from foraging_snn.environments.draws import Stream, stream_key
from foraging_snn.environments.gym_env import ForagingEnv
from foraging_snn.environments.particles import PAPER_PARTICLES, PARTICLES, Particle, present_types, type_numbers
from foraging_snn.environments.tasks import TASKS, Outcome, Task
from foraging_snn.environments.world import draw_world, eat, empty_world, move_agent, particles_per_type

ENVIRONMENT_ID = "foraging_snn/Foraging-v0"
RIGHT, STAY, UP = 5, 4, 7
TASKS_ALLOWED = "1, 2, 3, 4, 5, 6, 'T1', 'T2', 'T3', 'T4', 'T5', 'T6'"


def make(**arguments):
    return gymnasium.make(ENVIRONMENT_ID, **arguments)


def with_particles(env, *particles):
    """Put these particles (x, y, type) into an environment that was reset, and nothing else."""
    offsets = {1: (1, 0), 2: (0, 1), 3: (1, 1), 4: (1, -1)}
    env.world.grid[:], env.world.part[:] = 0, 0
    for x, y, particle_type in particles:
        dx, dy = offsets[particle_type]
        env.grid[y, x] = env.grid[y + dy, x + dx] = particle_type
        env.world.part[y + dy, x + dx] = 1
    return env


@pytest.mark.parametrize("task", [1, 2, 5, None])
@pytest.mark.parametrize("render_mode", [None, "ansi", "rgb_array"])
def test_gymnasiums_own_checks_pass_without_a_warning(task, render_mode):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = make(task=task, render_mode=render_mode)
        check_env(env.unwrapped)
        env.close()


def test_importing_twice_registers_once_without_a_warning():
    assert gymnasium.spec(ENVIRONMENT_ID).max_episode_steps is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importlib.reload(environments)
    assert [name for name in gymnasium.registry if name.startswith("foraging_snn/")] == [ENVIRONMENT_ID]


def test_spaces_are_nine_moves_and_the_view():
    env = make()
    assert env.action_space == gymnasium.spaces.Discrete(9)
    assert env.observation_space == gymnasium.spaces.Box(0, 1, (7, 7), np.uint8)
    assert make(field=5).observation_space.shape == (5, 5)


@pytest.mark.parametrize("task", [1, 2, None])
def test_two_environments_with_one_seed_walk_identically(task):
    first, second = make(task=task), make(task=task)
    first.action_space.seed(3)
    observation_1, info_1 = first.reset(seed=11)
    observation_2, info_2 = second.reset(seed=11)
    eaten = 0
    for n in range(3000):
        assert np.array_equal(observation_1, observation_2)
        assert info_1 == info_2
        if n % 1000 == 999:  # an unseeded reset goes on with the same generator
            first.reset()
            second.reset()
        action = first.action_space.sample()
        observation_1, reward_1, terminated, truncated, info_1 = first.step(action)
        observation_2, reward_2, *_, info_2 = second.step(action)
        assert reward_1 == reward_2
        assert not terminated
        assert not truncated
        eaten += info_1["eaten"] is not None
    assert eaten > 20
    assert np.array_equal(first.unwrapped.grid, second.unwrapped.grid)


def test_other_seeds_and_later_resets_give_other_worlds():
    env = ForagingEnv()
    worlds = []
    for seed in (1, 2, None, None):
        env.reset(seed=seed)
        worlds.append(env.grid.tobytes())
    assert len(set(worlds)) == 4


def test_all_draws_follow_the_conventions_from_the_number_taken_at_reset_one_epoch_per_move():
    env = ForagingEnv(task=2)
    env.reset(seed=5)
    draw_seed = int(np.random.Generator(np.random.PCG64(np.random.SeedSequence(5))).integers(2**63))
    world = empty_world(50)
    present = present_types(type_numbers(TASKS["T2"].particles), len(PARTICLES))
    assert draw_world(world, present, 63, stream_key(draw_seed, Stream.WORLD, 0))
    assert np.array_equal(env.grid, world.grid)
    x = y = 25
    for epoch in range(500):
        action = epoch * epoch % 9
        env.step(action)
        x, y = move_agent(x, y, action, 50)
        eat(world, x, y, stream_key(draw_seed, Stream.NEW_PARTICLE, epoch))
        assert np.array_equal(env.grid, world.grid)


@pytest.mark.parametrize("named, numbered", [("T1", 1), ("T2", 2), (TASKS["T2"], 2)])
def test_a_task_may_be_named_or_given_itself(named, numbered):
    one, other = ForagingEnv(task=named), ForagingEnv(task=numbered)
    assert np.array_equal(one.reset(seed=4)[0], other.reset(seed=4)[0])
    for action in range(200):
        moves = [env.step(action * action % 9) for env in (one, other)]
        assert moves[0][1:] == moves[1][1:]
    assert np.array_equal(one.grid, other.grid)


def test_a_task_of_ones_own_decides_what_is_there_and_what_it_is_worth():
    env = ForagingEnv(task=Task("mine", rewarded=("vertical", "horizontal"), punished=("negative diagonal",)), size=20)
    env.reset(seed=1)
    assert sorted(np.unique(env.grid)) == [0, 1, 2, 4]
    meant = {None: (0, -0.0001), "horizontal": (1, 1.0), "vertical": (1, 1.0), "negative diagonal": (2, -0.001)}
    met = set()
    for k in range(2000):
        _, reward, _, _, information = env.step((5, 7)[k % 41 == 0])
        assert (information["outcome"], reward) == meant[information["eaten"]]
        met.add(information["eaten"])
    assert met == set(meant)


def test_types_of_ones_own_may_be_given_instead_of_a_task():
    corner = Particle("corner", ((0, 0), (1, 0), (1, 1)))
    env = make(rewarded=[corner, "steep rise"], punished=["horizontal"]).unwrapped
    observation, _ = env.reset(seed=3)
    assert [(env.grid == number).sum() for number in (1, 8, 13)] == [72, 72, 108]  # 36 of each: 250 / (2 + 2 + 3), rounded up
    assert np.array_equal(observation, env.grid[22:29, 22:29] != 0)
    assert env.task.rewarded == (corner, PARTICLES["steep rise"])
    meant = {None: (0, -0.0001), "horizontal": (2, -0.001), "steep rise": (1, 1.0), "corner": (1, 1.0)}
    met = set()
    for k in range(2000):
        _, reward, _, _, information = env.step((5, 7)[k % 41 == 0])
        assert (information["outcome"], reward) == meant[information["eaten"]]
        met.add(information["eaten"])
    assert met == set(meant)
    assert [(env.grid == number).sum() for number in (1, 8, 13)] == [72, 72, 108]


def test_types_given_by_name_make_the_world_of_the_task_that_has_them():
    one, other = ForagingEnv(rewarded=["horizontal"], punished=["negative diagonal"]), ForagingEnv(task=1)
    assert np.array_equal(one.reset(seed=4)[0], other.reset(seed=4)[0])
    for action in range(200):
        moves = [env.step(action * action % 9) for env in (one, other)]
        assert moves[0][1:] == moves[1][1:]


@pytest.mark.parametrize(("task", "counts"), [(1, [63, 0, 0, 63]), (2, [0, 63, 63, 0]), (None, [32, 32, 32, 32])])
def test_each_task_has_its_particles(task, counts):
    env = ForagingEnv(task=task)
    env.reset(seed=0)
    assert [int((env.grid == number).sum()) // 2 for number in range(1, 5)] == counts


def test_start_is_the_centre_with_its_view():
    env = ForagingEnv()
    observation, info = env.reset(seed=4)
    assert info == {"eaten": None, "outcome": Outcome.NOTHING, "position": (25, 25)}
    assert np.array_equal(observation, env.grid[22:29, 22:29] != 0)
    assert ForagingEnv(size=21, density=0.08).reset(seed=0)[1]["position"] == (10, 10)


def test_the_view_after_a_move_is_that_of_the_new_square_row_0_lowest():
    env = ForagingEnv(task=None)
    env.reset(seed=0)
    with_particles(env, (25, 28, 1))  # (25, 28) and (26, 28): three squares above the centre
    observation, *_ = env.step(UP)
    assert np.argwhere(observation).tolist() == [[5, 3], [5, 4]]
    observation, *_ = env.step(RIGHT)
    assert np.argwhere(observation).tolist() == [[5, 2], [5, 3]]


@pytest.mark.parametrize(
    ("task", "particle_type", "reward", "outcome"),
    [
        (1, 1, 1.0, Outcome.REWARDED),
        (1, 4, -0.001, Outcome.PUNISHED),
        (1, 2, -0.0001, Outcome.OTHER),
        (2, 2, 1.0, Outcome.REWARDED),
        (2, 3, -0.001, Outcome.PUNISHED),
        (2, 4, -0.0001, Outcome.OTHER),
        (None, 1, -0.0001, Outcome.OTHER),
        (None, 3, -0.0001, Outcome.OTHER),
    ],
)
def test_rewards_by_default(task, particle_type, reward, outcome):
    env = ForagingEnv(task=task)
    env.reset(seed=1)
    with_particles(env, (26, 25, particle_type))
    _, given, terminated, truncated, info = env.step(RIGHT)
    assert given == reward
    assert isinstance(given, float)
    names = {1: "horizontal", 2: "vertical", 3: "positive diagonal", 4: "negative diagonal"}
    assert info == {"eaten": names[particle_type], "outcome": outcome, "position": (26, 25)}
    assert (terminated, truncated) == (False, False)
    assert int((env.grid == particle_type).sum()) == 2  # a new one has appeared


def test_nothing_eaten_costs_a_little():
    env = ForagingEnv()
    env.reset(seed=1)
    with_particles(env)
    _, reward, _, _, info = env.step(RIGHT)
    assert reward == -0.0001
    assert info == {"eaten": None, "outcome": Outcome.NOTHING, "position": (26, 25)}


def test_rewards_can_be_chosen():
    env = ForagingEnv(task=1, reward_rewarded=2, reward_punished=-3, reward_otherwise=0)
    env.reset(seed=1)
    rewards = []
    for particles in ([(26, 25, 1)], [(27, 25, 4)], []):
        with_particles(env, *particles)
        rewards.append(env.step(RIGHT)[1])
    assert rewards == [2.0, -3.0, 0.0]


def test_staying_eats_a_particle_under_the_agent_and_only_then():
    env = ForagingEnv(task=1)
    env.reset(seed=1)
    with_particles(env, (25, 25, 1))
    assert env.step(STAY)[4]["eaten"] == "horizontal"
    with_particles(env, (30, 30, 1))
    assert env.step(STAY)[4]["eaten"] is None


def test_the_agent_crosses_the_edge_and_eats_there():
    env = ForagingEnv(task=1)
    env.reset(seed=1)
    env.x, env.y = 49, 0
    with_particles(env, (0, 0, 1))
    observation, reward, _, _, info = env.step(RIGHT)
    assert (info["position"], reward) == ((0, 0), 1.0)
    rows = (np.arange(-3, 4)) % 50
    assert np.array_equal(observation, env.grid[np.ix_(rows, rows)] != 0)


def test_earlier_observations_are_not_overwritten():
    env = ForagingEnv()
    first, _ = env.reset(seed=1)
    copy = first.copy()
    for _ in range(30):
        env.step(8)
    assert np.array_equal(first, copy)


@pytest.mark.parametrize("action", [np.int64(3), np.int32(3), 3])
def test_integer_actions_of_any_kind_are_taken(action):
    env = ForagingEnv()
    env.reset(seed=1)
    assert env.step(action)[4]["position"] == (24, 25)


@pytest.mark.parametrize("action", [9, -1, 2.0, "up", None])
def test_other_actions_are_refused(action):
    env = ForagingEnv()
    env.reset(seed=1)
    with pytest.raises(ValueError, match=r"^action must be an integer in 0 \.\.\. 8, got "):
        env.step(action)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": 7}, f"task must be {TASKS_ALLOWED}, a Task or None, got 7."),
        ({"task": "1"}, f"task must be {TASKS_ALLOWED}, a Task or None, got '1'."),
        ({"task": True}, f"task must be {TASKS_ALLOWED}, a Task or None, got True."),
        ({"task": ("T1",)}, f"task must be {TASKS_ALLOWED}, a Task or None, got ('T1',)."),
        ({"rewarded": "horizontal"}, "rewarded must be a list of types of particle, got 'horizontal'."),
        (
            {"punished": ["horizontal"]},
            "rewarded, punished: tasks.own.rewarded: none given, allowed is at least one type of particle",
        ),
        (
            {"rewarded": ["horizontal"], "punished": ["horizontal"]},
            "rewarded, punished: tasks.own: horizontal is named twice, allowed is every type once, rewarded or punished",
        ),
        ({"rewarded": ["h"]}, f"rewarded, punished: 'h' is no type of particle, allowed are {', '.join(PARTICLES)}"),
        (
            {"rewarded": ["steep rise"], "field": 1},
            "field 1 is smaller than a particle 'steep rise', which takes 2 x 3 squares: "
            "choose a larger field or another particle.",
        ),
        ({"size": 5}, "size must be an integer of at least field = 7, got 5."),
        ({"field": 4}, "field must be an odd integer of at least 1, got 4."),
        ({"density": 0.5}, "density must be a number above 0 and at most 0.15, got 0.5."),
        ({"density": -0.1}, "density must be a number above 0 and at most 0.15, got -0.1."),
        ({"reward_rewarded": "big"}, "reward_rewarded must be a finite number, got 'big'."),
        ({"reward_punished": float("inf")}, "reward_punished must be a finite number, got inf."),
        ({"reward_otherwise": None}, "reward_otherwise must be a finite number, got None."),
        ({"render_mode": "human"}, "render_mode must be None, 'ansi' or 'rgb_array', got 'human'."),
        (
            {"size": 9, "task": None},
            "density 0.1 means 2 particles of each of 4 types, which cover 0.198 of 9 x 9 squares; "
            "at most 0.15 can be covered: choose a larger size or a smaller density.",
        ),
    ],
)
def test_bad_arguments_are_refused_with_one_line(arguments, message):
    with pytest.raises(ValueError) as error:
        ForagingEnv(**arguments)
    assert str(error.value) == message
    assert "\n" not in message


def test_a_world_that_cannot_be_completed_is_a_clear_error():
    env = ForagingEnv(size=9, task=2)
    env._per_type = 8  # more than fits; check_world keeps callers from asking for it
    with pytest.raises(ValueError, match=r"^no place was found for 8 particles of each of 2 types on 9 x 9 squares"):
        env.reset(seed=0)


def test_stepping_or_rendering_before_reset_is_refused():
    env = ForagingEnv(render_mode="ansi")
    with pytest.raises(ResetNeeded, match=r"call reset\(\) before step\(\)"):
        env.step(0)
    with pytest.raises(ResetNeeded, match=r"call reset\(\) before render\(\)"):
        env.render()


def test_every_size_from_eleven_makes_a_world():
    for size in range(11, 61):
        env = ForagingEnv(size=size, task=None)
        env.reset(seed=size)
        assert np.count_nonzero(env.grid) == 8 * particles_per_type(size, 0.1, PAPER_PARTICLES)


def test_text_shows_the_world_with_y_upwards():
    env = ForagingEnv(render_mode="ansi", size=12, task=None)
    env.reset(seed=1)
    with_particles(env, (0, 0, 1), (0, 10, 2), (10, 10, 3), (10, 1, 4))
    assert env.render() == (
        "|........../\n"
        "|........./.\n"
        "............\n"
        "............\n"
        "............\n"
        "......@.....\n"
        "............\n"
        "............\n"
        "............\n"
        "............\n"
        "..........\\.\n"
        "--.........\\\n"
    )


def test_any_number_of_types_has_symbols_and_colours():
    symbols, colours = rendering.square_symbols(127), rendering.square_colours(127)
    assert (symbols[:7], len(symbols), colours.shape) == (".-|/\\ab", 128, (128, 3))
    assert symbols[5:31] == symbols[31:57]
    first = [tuple(colour) for colour in colours[:13].tolist()]
    assert len(set(first)) == 13  # empty and the types of the package
    grid = np.array([[0, 12], [127, 5]], np.int8)
    assert rendering.world_text(grid, 0, 0) == "sa\n@h\n"
    assert rendering.world_image(grid, 0, 0, 1).shape == (24, 24, 3)


def test_image_shows_particles_agent_and_field_of_view():
    env = ForagingEnv(render_mode="rgb_array", size=12, task=None)
    env.reset(seed=1)
    with_particles(env, (0, 0, 1), (0, 10, 2), (10, 10, 3), (10, 1, 4))
    image = env.render()
    assert image.dtype == np.uint8
    assert image.shape == (144, 144, 3)

    def centre(x, y):  # of a square, in an image whose first row is the highest
        return image[(11 - y) * 12 + 6, x * 12 + 6].tolist()

    colours = rendering.square_colours(4).tolist()
    assert centre(0, 0) == centre(1, 0) == colours[1]
    assert centre(0, 10) == centre(0, 11) == colours[2]
    assert centre(10, 10) == centre(11, 11) == colours[3]
    assert centre(10, 1) == centre(11, 0) == colours[4]
    assert centre(6, 6) == rendering.AGENT_COLOUR.tolist()
    assert centre(3, 3) == centre(9, 9) == centre(3, 9) == rendering.FIELD_COLOUR.tolist()
    assert centre(2, 3) == centre(3, 10) == centre(10, 9) == colours[0]
    # The outline lies in the outermost pixels of the 7 x 7 squares from (3, 3) to (9, 9).
    assert (image[24:108, 36] == rendering.OUTLINE_COLOUR).all()
    assert (image[24:108, 119] == rendering.OUTLINE_COLOUR).all()
    assert (image[24, 36:120] == rendering.OUTLINE_COLOUR).all()
    assert (image[107, 36:120] == rendering.OUTLINE_COLOUR).all()
    assert not (image[20, 36:120] == rendering.OUTLINE_COLOUR).all(axis=1).any()


def test_field_of_view_is_outlined_across_the_edge():
    image = rendering.world_image(empty_world(12).grid, 0, 0, 7)
    grey = (image[6::12, 6::12] == rendering.FIELD_COLOUR).all(axis=2)[::-1]  # squares, indexed [y, x]
    seen = np.isin(np.arange(12), [9, 10, 11, 0, 1, 2, 3])
    expected = np.outer(seen, seen)
    expected[0, 0] = False  # the agent
    assert np.array_equal(grey, expected)


def test_rendering_without_a_mode_warns_and_shows_nothing():
    env = ForagingEnv()
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None


def test_environments_run_side_by_side():
    envs = gymnasium.make_vec(ENVIRONMENT_ID, num_envs=3, vectorization_mode="sync", task=1)
    observations, _ = envs.reset(seed=0)
    assert observations.shape == (3, 7, 7)
    assert not np.array_equal(envs.envs[0].unwrapped.grid, envs.envs[1].unwrapped.grid)
    _, rewards, *_ = envs.step(np.array([0, 4, 8]))
    assert rewards.shape == (3,)
    envs.close()
