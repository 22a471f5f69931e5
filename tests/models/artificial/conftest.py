"""PyTorch, where there is one, with one thread: the tests here are small, and others run beside them."""

import importlib.util

if importlib.util.find_spec("torch"):
    import torch

    torch.set_num_threads(1)
