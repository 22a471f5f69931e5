"""All tests here need PyTorch, the extra `ann`."""

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
