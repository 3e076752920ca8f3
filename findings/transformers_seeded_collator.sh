#!/usr/bin/env bash
# transformers 5.24 with torch's DataLoader: a collator with a seed draws the same masks in every epoch
# when the loader has workers that end with the epoch, which is the default.
#
# Expected: "dynamic" masking, other positions each time a text is read; the seed makes a run
# repeatable. Without workers, and with persistent ones, it is so.
# Seen: each epoch starts new workers, each takes the generator from the seed and its own number, and
# every epoch hides the same positions of the same texts. In ten epochs 15% of the tokens are ever
# predicted, where some 80% would be.
# What follows for users: with a seed, pass persistent_workers=True, or take a collator whose draws
# depend on the epoch. Our RandomRatioCollator does so, and has a test of it.
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/masks.py" <<'PY'
import sys

import torch
import transformers
from tokenizers import Tokenizer, models
from torch.utils.data import DataLoader
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

EPOCHS = 10
words = {name: i for i, name in enumerate(["[PAD]", "[MASK]", "[UNK]", *(f"w{i}" for i in range(50))])}
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="[UNK]")),
    pad_token="[PAD]", mask_token="[MASK]", unk_token="[UNK]",
)
torch.manual_seed(0)
texts = [{"input_ids": torch.randint(3, 53, (64,)).tolist()} for _ in range(64)]


def hidden(workers, persistent):
    """Whether each token is hidden, (EPOCHS, texts, tokens)."""
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15, seed=7)
    loader = DataLoader(texts, batch_size=8, num_workers=workers, persistent_workers=persistent, collate_fn=collator)
    return torch.stack([torch.cat([batch["labels"] != -100 for batch in loader]) for _ in range(EPOCHS)])


if __name__ == "__main__":
    print("transformers", transformers.__version__, "torch", torch.__version__)
    wanted = {(0, False): False, (2, True): False, (2, False): True}
    right = True
    for (workers, persistent), replayed in wanted.items():
        masks = hidden(workers, persistent)
        same = bool((masks == masks[0]).all())
        ever = float(masks.any(0).float().mean())
        print(f"{workers} workers, persistent {persistent}: same masks in {EPOCHS} epochs {same}, {ever:.0%} of tokens hidden at least once")
        right &= same == replayed and (ever < 0.2) == replayed
    sys.exit(not right)
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "torch==2.13.0" "transformers==5.24.0" "numpy==2.4.6" || exit 77
"$folder/env/bin/python" -W ignore "$folder/masks.py"
echo "as described"
