"""Who is connected to whom, and how strongly at first.

Drawn from the seed of the trial, or that of the network if there is one, see docs/conventions.md.
"""

from dataclasses import dataclass

import numpy as np

from foraging_snn.environments.draws import Stream, integer, stream_key, uniforms
from foraging_snn.models.parameters import Parameters

MAX_EXCHANGES = 10_000  # per slot; not reached for any size that was tried


class WiringError(ValueError):
    """No wiring without double synapses was found for these layer sizes."""


@dataclass
class Wiring:
    """Input-to-hidden synapses, listed by input cell, then by hidden cell.

    Attributes
    ----------
    input_index, hidden_index : (S,) int32
        Pre- and postsynaptic cell of each synapse, numbered within their layers.
    strength : (S,) float64
        Initial strengths.
    """

    input_index: np.ndarray
    hidden_index: np.ndarray
    strength: np.ndarray


def draw_wiring(parameters: Parameters, seed: int) -> Wiring:
    """Draw the input-to-hidden synapses and their initial strengths from a seed.

    Raises
    ------
    WiringError
        If the layer sizes leave too little freedom to avoid double synapses.
    """
    n_input, n_hidden = parameters.n_input, parameters.n_hidden
    k = parameters.network.inputs_per_hidden_cell
    n_synapses = k * n_hidden
    fan_out = np.full(n_input, n_synapses // n_input)
    fan_out[: n_synapses % n_input] += 1

    key = stream_key(seed, Stream.WIRING_INPUTS, 0)
    dense = 2 * k > n_input  # there hardly any exchange helps: what a cell lacks is dealt instead
    dealt = _dealt(n_hidden - fan_out, n_hidden, n_input - k, key) if dense else _dealt(fan_out, n_hidden, k, key)
    input_index, hidden_index = (index.astype(np.int32) for index in np.nonzero(dealt != dense))
    return Wiring(input_index, hidden_index, _initial_strengths(parameters, seed, fan_out))


def _dealt(fan_out: np.ndarray, n_hidden: int, k: int, key: np.uint64) -> np.ndarray:
    """Deal input cells, each as often as `fan_out` says, to the hidden cells, k different ones each; (n_input, n_hidden) bool."""
    stubs = np.repeat(np.arange(len(fan_out)), fan_out)
    stubs = stubs[np.argsort(uniforms(key, 0, len(stubs)), kind="stable")].reshape(n_hidden, k)
    _remove_double_synapses(stubs, key)
    connected = np.zeros((len(fan_out), n_hidden), bool)
    connected[stubs, np.arange(n_hidden)[:, None]] = True
    return connected


def _remove_double_synapses(stubs: np.ndarray, key: np.uint64) -> None:
    """Exchange entries of `stubs` (n_hidden, k) until no row holds an input cell twice; column sums stay."""
    n_hidden, k = stubs.shape
    flat = stubs.reshape(-1)
    draw = n_hidden * k
    for cell in range(n_hidden):
        for slot in range(k):
            if stubs[cell, slot] not in stubs[cell, :slot]:
                continue
            here = cell * k + slot
            for _ in range(MAX_EXCHANGES):
                there = integer(key, draw, n_hidden * k)
                draw += 1
                flat[here], flat[there] = flat[there], flat[here]
                if _single(stubs[cell], int(flat[here])) and _single(stubs[there // k], int(flat[there])):
                    break
                flat[here], flat[there] = flat[there], flat[here]
            else:
                raise WiringError(
                    f"network.inputs_per_hidden_cell, network.hidden_cells: {n_hidden} hidden cells cannot be wired without double "
                    f"synapses ({MAX_EXCHANGES} exchanges for one synapse failed)"
                )


def _single(inputs: np.ndarray, value: int) -> bool:
    return np.count_nonzero(inputs == value) == 1


def _initial_strengths(parameters: Parameters, seed: int, fan_out: np.ndarray) -> np.ndarray:
    """One chunk per synapse, and the chunks that every input cell deals at random among its synapses."""
    first_synapse = np.concatenate(([0], np.cumsum(fan_out)[:-1]))
    dealer = np.repeat(np.arange(len(fan_out)), fan_out * parameters.network.chunks_per_synapse)
    draws = uniforms(stream_key(seed, Stream.WIRING_CHUNKS, 0), 0, len(dealer))
    synapse = first_synapse[dealer] + (draws * fan_out[dealer]).astype(np.int64)
    chunks = 1 + np.bincount(synapse, minlength=fan_out.sum())
    return chunks * parameters.network.strength_chunk
