"""Networks without spikes that sleep: trained by backpropagation in PyTorch (extra `ann`), asleep with spikes and a local rule.

Sleep replay consolidation of Tadros, Krishnan, Ramyaa & Bazhenov, Nat Commun 13: 7742 (2022). This file imports neither PyTorch nor
Numba, so that the rest of the package does without them.

network     networks as `torch.nn.Sequential`, and their weights as arrays
sleeping    `sleep`: the network with spikes, plastic
spiking     `to_spiking`: the network with spikes, run on images
training    gradient descent, and the baselines that remember by it
"""

from types import ModuleType

EXTRA = "pip install '.[ann]' in a clone of foraging_snn"


class NetworkError(ValueError):
    """A network, or what it is to be trained or to sleep on, is not what is allowed; the message is one line."""


def pytorch() -> ModuleType:
    """PyTorch.

    Raises
    ------
    NetworkError
        It is not installed.
    """
    try:
        import torch  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        raise NetworkError(f"PyTorch is not installed, networks without spikes need it: {EXTRA}") from None
    return torch
