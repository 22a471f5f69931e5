"""Protocols: the language they are written in, and the catalogue of the paper's experiments, which is written in it.

`protocol("T1 -> I(S,T2)", parameters)` makes an experiment of a text; its grammar stands in docs/protocols.md. What a phase does
to a state is in models/.
"""

from .catalogue import experiment, experiments, protocol, protocols_of_file
from .definitions import Experiment, ExperimentError, ImportRates, PublishedValue, RatesOfState, Step, rates_before
from .language import ProtocolError

__all__ = [
    "Experiment",
    "ExperimentError",
    "ImportRates",
    "ProtocolError",
    "PublishedValue",
    "RatesOfState",
    "Step",
    "experiment",
    "experiments",
    "protocol",
    "protocols_of_file",
    "rates_before",
]
