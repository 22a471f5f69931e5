"""The foraging world as a Gymnasium environment, for agents other than the spiking network.

The rules are the jitted functions of world.py and tasks.py, the same ones the engines call.
"""

from numbers import Real
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from . import rendering, world
from .draws import Stream, stream_key
from .particles import PAPER_PARTICLES, PARTICLES, find_particle, present_types, type_numbers
from .tasks import REWARD_OTHERWISE, REWARD_PUNISHED, REWARD_REWARDED, TASKS, Outcome, Task, find_task, outcomes, reward_of


class ForagingEnv(gymnasium.Env):
    """
    An agent forages for food particles whose shape tells whether they are good or bad.

    ## Description
    The world is a torus of 50 x 50 squares, a tenth of them covered by food particles. Those of the paper have two squares each:
    horizontal, vertical, positive diagonal (rising to the right) and negative diagonal (falling to the right); further types are
    in `foraging_snn.environments.PARTICLES`, and any others can be made (see Arguments). The agent sees, in the 7 x 7 squares
    around it, which squares hold food, but not of which type. When it moves onto a square of a particle the particle is eaten and
    a new one of the same type appears at a random place. A task rewards some types and punishes others; a world with a task holds
    only these. The tasks of the package, the first two those of the paper:

    | task | rewarded | punished |
    |---|---|---|
    | 1 or "T1" | horizontal | negative diagonal |
    | 2 or "T2" | vertical | positive diagonal |
    | 3 or "T3" | horizontal gap | negative diagonal gap |
    | 4 or "T4" | vertical gap | positive diagonal gap |
    | 5 or "T5" | shallow rise | steep fall |
    | 6 or "T6" | steep rise | shallow fall |
    | None | - | - |

    Particles never straddle the edge of the grid and never touch one another, not even diagonally.

    ## Action Space
    The action is one of 9 moves, `(dy + 1) * 3 + (dx + 1)`, where x grows to the right and y upwards:

    - 0: down left
    - 1: down
    - 2: down right
    - 3: left
    - 4: stay
    - 5: right
    - 6: up left
    - 7: up
    - 8: up right

    ## Observation Space
    An array of uint8 of shape `(field, field)`. Element `[dy + field // 2, dx + field // 2]` is 1 if the square at
    `(x + dx, y + dy)` holds food and 0 if not; row 0 is therefore the lowest row. The agent's own square is included,
    and the view wraps around the edges.

    ## Starting State
    A world drawn at random, the agent in its centre, `(size // 2, size // 2)`; food may lie under the agent.

    ## Rewards
    Default values (see Arguments):

    - Rewarded particle eaten: +1
    - Punished particle eaten: -0.001
    - Nothing eaten: -0.0001

    Without a task every move gives the last of these, whatever is eaten.

    ## Episode End
    Foraging is a continuing task: an episode never terminates and is never truncated. A time limit can be set with
    `max_episode_steps` of `gymnasium.make`.

    ## Information
    `step()` and `reset()` return a dict with the following keys:

    - `eaten`: name of the particle type eaten by this move, such as `"negative diagonal"`, or None.
    - `outcome`: an `Outcome`: NOTHING (0), REWARDED (1), PUNISHED (2), OTHER (3, a particle outside the task).
    - `position`: the agent's square `(x, y)`.

    ## Arguments
    ```python
    import foraging_snn
    import gymnasium

    gymnasium.make(
        "foraging_snn/Foraging-v0",
        task=1,
        size=50,
        field=7,
        density=0.1,
        reward_rewarded=1.0,
        reward_punished=-0.001,
        reward_otherwise=-0.0001,
        rewarded=(),
        punished=(),
    )
    ```

    * `task=1`: number or name of a task of `foraging_snn.environments.TASKS`, a `Task`, or None. With None the four types of the
        paper are there and none is rewarded or punished, as in the unsupervised phase of the model.
    * `rewarded=()`, `punished=()`: types of particle that make a task of their own, instead of `task`: names of
        `foraging_snn.environments.PARTICLES` or `Particle` objects, such as `Particle("corner", ((0, 0), (1, 0), (1, 1)))`. At
        least one type is rewarded.
    * `size=50`: side of the world in squares, at least `field`.
    * `field=7`: side of the field of view in squares, odd.
    * `density=0.1`: fraction of the squares covered by food. There are `ceil(density * size**2 / s)` particles of each
        type, s being the squares of one particle of every type there is; they may cover at most `MAX_DENSITY` (0.15) of all.
    * `reward_rewarded=1.0`, `reward_punished=-0.001`, `reward_otherwise=-0.0001`: rewards, finite numbers.
    * `render_mode=None`: None, `"ansi"` (text) or `"rgb_array"` (image of 12 x 12 pixels per square).

    All randomness comes from one number drawn from `np_random` at `reset()`, which serves as the trial seed of
    docs/conventions.md; the first move after a reset is epoch 0.

    ## References
    Golden, Delanois, Sanda & Bazhenov (2022), Sleep prevents catastrophic forgetting in spiking neural networks by
    forming a joint synaptic weight representation, PLoS Comput Biol 18(11): e1010628.

    Skorheim, Lonjers & Bazhenov (2014), A spiking network model of decision making employing rewarded STDP, PLoS ONE
    9(3): e90821.

    ## Version History
    * v0: Initial version
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 10}

    def __init__(
        self,
        render_mode=None,
        task=1,
        size=50,
        field=7,
        density=0.1,
        reward_rewarded=REWARD_REWARDED,
        reward_punished=REWARD_PUNISHED,
        reward_otherwise=REWARD_OTHERWISE,
        rewarded=(),
        punished=(),
    ):
        """Check the arguments, which the class describes; the world itself is drawn at the first reset."""
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"render_mode must be None, 'ansi' or 'rgb_array', got {render_mode!r}.")
        chosen = _own_task(rewarded, punished) if rewarded or punished else _chosen(task)
        present = chosen.particles if chosen else PAPER_PARTICLES
        world.check_world(size, field, density, present)
        _check_reward("reward_rewarded", reward_rewarded)
        _check_reward("reward_punished", reward_punished)
        _check_reward("reward_otherwise", reward_otherwise)

        self.render_mode = render_mode
        self.task = chosen if rewarded or punished else task
        self.size = int(size)
        self.field = int(field)
        self.density = density
        self.rewards = (float(reward_rewarded), float(reward_punished), float(reward_otherwise))
        # types of the package have the numbers that they have in its table, others follow
        self.particles = tuple(dict.fromkeys((*PARTICLES.values(), *present)))
        self._present = present_types(type_numbers(present, self.particles), len(self.particles))
        roles = [type_numbers(types, self.particles) for types in (chosen.rewarded, chosen.punished)] if chosen else []
        self._outcomes = outcomes(len(self.particles), *roles)
        self._per_type = world.particles_per_type(size, density, present)

        self.action_space = spaces.Discrete(world.N_MOVES)
        self.observation_space = spaces.Box(0, 1, (self.field, self.field), np.uint8)

        self.world = None  # GridWorld, drawn at reset

    def reset(self, *, seed=None, options=None):
        """Draw a new world, the agent in its centre; returns observation and information. `options` are not used."""
        super().reset(seed=seed)
        self._draw_seed = int(self.np_random.integers(2**63))
        self._moves = 0

        drawn = world.empty_world(self.size, self.particles)
        if not world.draw_world(drawn, self._present, self._per_type, stream_key(self._draw_seed, Stream.WORLD, 0)):
            raise ValueError(
                f"no place was found for {self._per_type} particles of each of {int(self._present.sum())} types on "
                f"{self.size} x {self.size} squares (density {self.density}): choose a smaller density."
            )
        self.world = drawn
        self.x = self.y = self.size // 2
        return self._observation(), self._information(0, Outcome.NOTHING)

    def step(self, action):
        """Move and eat; returns observation, reward, terminated and truncated (both always False), information."""
        self._require_reset("step")
        if not self.action_space.contains(action):
            raise ValueError(f"action must be an integer in 0 ... {world.N_MOVES - 1}, got {action!r}.")

        key = stream_key(self._draw_seed, Stream.NEW_PARTICLE, self._moves)
        self._moves += 1
        self.x, self.y = world.move_agent(self.x, self.y, int(action), self.size)
        eaten = world.eat(self.world, self.x, self.y, key)
        outcome = Outcome(self._outcomes[eaten])
        reward = reward_of(int(outcome), *self.rewards)
        return self._observation(), reward, False, False, self._information(eaten, outcome)

    def render(self):
        """Show the world as a string ("ansi") or as a uint8 array of shape (rows, columns, 3) ("rgb_array")."""
        if self.render_mode is None:
            gymnasium.logger.warn(
                "render() does nothing without a render_mode; choose one when making the environment, "
                'e.g. gymnasium.make("foraging_snn/Foraging-v0", render_mode="rgb_array")'
            )
            return None
        self._require_reset("render")
        if self.render_mode == "ansi":
            return rendering.world_text(self.grid, self.x, self.y)
        return rendering.world_image(self.grid, self.x, self.y, self.field)

    @property
    def grid(self):
        """Type of the particle on each square, (size, size) int8 indexed [y, x], 0: empty; None before the first reset."""
        return None if self.world is None else self.world.grid

    def _observation(self):
        seen = np.empty(self.field * self.field, dtype=np.uint8)
        world.view(self.grid, self.x, self.y, self.field, seen)
        return seen.reshape(self.field, self.field)

    def _information(self, eaten, outcome):
        name = self.particles[eaten - 1].name if eaten else None
        return {"eaten": name, "outcome": outcome, "position": (self.x, self.y)}

    def _require_reset(self, method):
        if self.grid is None:
            raise ResetNeeded(f"call reset() before {method}().")


def _chosen(task) -> Task | None:
    try:
        return None if task is None else find_task(task)
    except ValueError:
        allowed = ", ".join([*map(str, range(1, len(TASKS) + 1)), *(f"'{name}'" for name in TASKS)])
        raise ValueError(f"task must be {allowed}, a Task or None, got {task!r}.") from None


def _own_task(rewarded, punished) -> Task:
    """A task over these types of particle, each a Particle or the name of one."""
    for name, types in (("rewarded", rewarded), ("punished", punished)):
        if not isinstance(types, (list, tuple)):
            raise ValueError(f"{name} must be a list of types of particle, got {types!r}.")
    try:
        return Task("own", *(tuple(find_particle(each) for each in types) for types in (rewarded, punished)))
    except ValueError as error:
        raise ValueError(f"rewarded, punished: {error}") from None


def _check_reward(name, value):
    if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(float(value)):
        raise ValueError(f"{name} must be a finite number, got {value!r}.")
