"""Networks whose best strengths are known, because they were wired by hand: hidden cells that see a particle at one place.

A hidden cell has two inputs, the two squares of a particle of one type at one place of the field of view; it fires when both hold
food. Strengths that lead each of them to the direction of its particle make an agent that goes for that type, and for no other.
"""

import numpy as np

from foraging_snn.files.networks import Network
from foraging_snn.models import preset

FIELD = 7
OFFSETS = {"horizontal": (1, 0), "vertical": (0, 1)}  # rewarded in Task 1, in Task 2
INPUT_STRENGTH = 0.012  # two make a cell fire, one does not: its threshold is 0.0186
FLOOR = 1e-5


def places(kind):
    """Where a particle of a type can lie in the field of view, the agent's own square left out: its two squares, (dx, dy) each."""
    reach, (ox, oy) = FIELD // 2, OFFSETS[kind]
    squares = [(x, y) for y in range(-reach, reach + 1 - oy) for x in range(-reach, reach + 1 - ox)]
    return [((x, y), (x + ox, y + oy)) for x, y in squares if (0, 0) not in ((x, y), (x + ox, y + oy))]


PLACES = [(kind, place) for kind in OFFSETS for place in places(kind)]
PARAMETERS = preset("tiny").with_changes({"network.hidden_cells": len(PLACES), "network.inputs_per_hidden_cell": 2})


def network():
    """The wiring: inputs by cell of the field of view, then by hidden cell."""
    pairs = sorted(((y + 3) * FIELD + x + 3, h) for h, (_, squares) in enumerate(PLACES) for x, y in squares)
    inputs, hidden = (np.array(column, np.int32) for column in zip(*pairs, strict=True))
    return Network(PARAMETERS, inputs, hidden, np.full(len(pairs), INPUT_STRENGTH))


def seeking(*kinds):
    """Strengths with which the agent goes to the nearest square of particles of these types, (H, 8); all others at the floor."""
    strengths = np.full((len(PLACES), 8), FLOOR)
    for h, (kind, squares) in enumerate(PLACES):
        if kind in kinds:
            dx, dy = min(squares, key=lambda square: max(abs(square[0]), abs(square[1])))
            move = (np.sign(dy) + 1) * 3 + np.sign(dx) + 1
            strengths[h, move - (move > 4)] = 1.0
    target = len(PLACES) * PARAMETERS.network.hidden_output_strength
    plastic = strengths > FLOOR
    shares = (target - FLOOR * (~plastic).sum(axis=0)) / plastic.sum(axis=0)
    return np.where(plastic, shares, FLOOR)


RESISTANCE = np.ones(8)
