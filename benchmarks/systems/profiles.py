"""How large everything is: ``screen`` for a quarter of an hour on one core and one seed, ``cpu``
for a night with three, ``gpu`` for a device, and ``toy`` for tests.
"""

from __future__ import annotations

from typing import Any, Final

_SMALL: Final[dict[str, Any]] = {
    "n_latent": 8,
    "d_model": 16,
    "n_heads": 2,
    "n_layers": 1,
    "n_hidden": 16,
    "n_tokens": 2,
    "n_factors": 4,
}

PROFILES: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "toy": {
        "linear": {"d": 16, "n": 48, "n_test": 40, "passes": 3, "factors": 3},
        "vision": {"side": 8, "n_train": 60, "n_test": 40, "steps": 4, "batch": 16, "mlp": 16, "cnn": 4, "latent": 8, "vit": 16, "vit_layers": 1, "vit_batch": 8, "patch": 2},
        "language": {"vocabulary": 300, "length": 16, "bert": 16, "bert_layers": 1, "steps": 3, "batch": 4, "rate": 1e-3, "n_test": 20, "n_words": 200},
        "dna": {"window": 64, "d_model": 16, "n_layers": 1, "steps": 3, "batch": 8, "n_test": 12, "n_probe": 120},
        "cells": {"set": "pancreas", "n_genes": 40, "cells": (3000, 2000), "steps": 2, "batch": 64, "epochs": 1, "sizes": _SMALL},
    },
    "screen": {
        "linear": {"d": 100, "n": 300, "n_test": 1000, "passes": 20, "factors": 8},
        "vision": {"side": 14, "n_train": 4000, "n_test": 2000, "steps": 300, "batch": 128, "mlp": 256, "cnn": 12, "latent": 64, "vit": 48, "vit_layers": 2, "vit_batch": 64, "patch": 2},
        "language": {"vocabulary": 1000, "length": 64, "bert": 64, "bert_layers": 2, "steps": 1000, "batch": 32, "rate": 3e-3, "n_test": 500, "n_words": 3000},
        "dna": {"window": 128, "d_model": 32, "n_layers": 2, "steps": 200, "batch": 32, "n_test": 500, "n_probe": 1500},
        "cells": {"set": "pancreas", "n_genes": 500, "cells": (3000, 2000), "steps": 300, "batch": 128, "epochs": 60, "sizes": {}},
    },
    "cpu": {
        "linear": {"d": 150, "n": 500, "n_test": 2000, "passes": 50, "factors": 8},
        "vision": {"side": 14, "n_train": 20_000, "n_test": 5000, "steps": 3000, "batch": 128, "mlp": 512, "cnn": 16, "latent": 64, "vit": 64, "vit_layers": 4, "vit_batch": 128, "patch": 2},
        "language": {"vocabulary": 2000, "length": 64, "bert": 96, "bert_layers": 3, "steps": 3000, "batch": 32, "rate": 1e-3, "n_test": 2000, "n_words": 16_000},
        "dna": {"window": 256, "d_model": 64, "n_layers": 3, "steps": 1000, "batch": 32, "n_test": 1500, "n_probe": 6000},
        "cells": {"set": "pancreas", "n_genes": 1000, "cells": (3000, 2000), "steps": 400, "batch": 128, "epochs": 200, "sizes": {}},
    },
    "gpu": {
        "linear": {"d": 200, "n": 1000, "n_test": 4000, "passes": 100, "factors": 8},
        "vision": {"side": 28, "n_train": 60_000, "n_test": 10_000, "steps": 20_000, "batch": 256, "mlp": 1024, "cnn": 64, "latent": 128, "vit": 192, "vit_layers": 8, "vit_batch": 256, "patch": 4},
        "language": {"vocabulary": 8000, "length": 128, "bert": 256, "bert_layers": 6, "steps": 20_000, "batch": 128, "rate": 5e-4, "n_test": 4000, "n_words": 50_000},
        "dna": {"window": 512, "d_model": 256, "n_layers": 8, "steps": 10_000, "batch": 64, "n_test": 2000, "n_probe": 10_000},
        "cells": {"set": "pbmc_studies", "n_genes": 2000, "cells": (20_000, 10_000), "steps": 4000, "batch": 256, "epochs": 400, "sizes": {}},
    },
}  # fmt: skip
