"""Networks as version 0.1.0 named them; they live with the cells and the DNA that they read."""

from __future__ import annotations

from r2mae_bio._lazy import moved

__getattr__, __dir__, __all__ = moved(
    __name__,
    {
        "cells.network._batch_effects": "BatchEffects",
        "cells.network._block": "TransformerBlock",
        "cells.network._classifier": "CellClassifierNetwork",
        "cells.network._content": "Exposure GeneContent GeneStatistics",
        "cells.network._decoder": "GeneDecoder",
        "cells.network._encoder": "GeneTransformer MLPEncoder",
        "cells.network._mae": "GeneMaskedAutoencoder",
        "cells.network._read": "LeastSquaresRead",
        "cells.network._start": "start_from_factors",
        "dna.network._classifier": "SequenceClassifierHead SequenceClassifierNetwork SequenceEncoder",
        "dna.network._linear_reading": "LinearReading",
        "dna.network._mae": "DNAMaskedAutoencoder base_tokens",
    },
)
