"""The inner loop of the event engine in jitted code, on the arrays of a NetworkState.

`loop` runs epochs; `responses` are those of input and hidden cells, `outputs` steps the output cells; `traces` and `plasticity` are
what happens at a boundary, `log` keeps the spikes between two of them; `arrays` says what all these work on. What is approximated
is written in models/event.py; the rules are those of models/rules.py, arranged for speed. Functions change their array arguments in
place. Memory is taken in `run_epochs` and the few functions around it, in Python; what is compiled is given arrays and makes none.
"""

from foraging_snn.models.event_kernel.arrays import SHARED, Arrays, Course, Layer, Numbers, Records, Traces
from foraging_snn.models.event_kernel.loop import run_epochs, run_with_room

__all__ = ["SHARED", "Arrays", "Course", "Layer", "Numbers", "Records", "Traces", "run_epochs", "run_with_room"]
