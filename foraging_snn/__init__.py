"""foraging_snn: a spiking network that learns to forage, forgets, and remembers with sleep."""

__version__ = "0.1.0"
