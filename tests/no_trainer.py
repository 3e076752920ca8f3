"""Settings with which Lightning makes no trainer, and what is told of them: a test takes both, as
``given`` and ``found``.
"""

import pytest
import torch

HAS_GPU = torch.cuda.is_available() or torch.backends.mps.is_available()

NO_TRAINER = pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"accelerator": "foo"}, "accelerator='foo', devices='auto'"),
        ({"accelerator": "cpu", "devices": "x"}, "accelerator='cpu', devices='x'"),
        ({"accelerator": "cpu", "devices": 0}, "accelerator='cpu', devices=0"),
        pytest.param({"accelerator": "gpu"}, "accelerator='gpu'", marks=pytest.mark.skipif(HAS_GPU, reason="there is one")),
    ],
)
TOLD = "No trainer can be made on this machine with {found}.*: .*Needed are"
