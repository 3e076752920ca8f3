#!/usr/bin/env bash
# transformers 5.24: whole-word masking takes rows of one length alone.
#
# Expected: DataCollatorForLanguageModeling(whole_word_mask=True) needs the offsets of the tokens, and
# pads rows of different lengths as it does without whole_word_mask: input_ids, attention_mask and
# special_tokens_mask are padded by the tokenizer.
# Seen: offset_mapping is not padded. Rows of one length work; rows of two lengths raise "IndexError:
# too many indices for array" with return_tensors="np" (as here), and with "pt" "ValueError: Unable to
# create tensor ... (`offset_mapping` in this case)".
# What follows for users: tokenize with padding="max_length", or pad offset_mapping with (0, 0).
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/collate.py" <<'PY'
import sys

import tokenizers
import transformers
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

names = ["[PAD]", "[MASK]", "one", "two", "three"]
made = tokenizers.Tokenizer(tokenizers.models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="[PAD]"))
made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", mask_token="[MASK]")


def outcome(whole, *texts):
    collate = DataCollatorForLanguageModeling(tokenizer, whole_word_mask=whole, mask_replace_prob=1, random_replace_prob=0, return_tensors="np")
    read = [tokenizer(text, return_offsets_mapping=whole, return_special_tokens_mask=True) for text in texts]
    wanted = ("input_ids", "attention_mask", "special_tokens_mask", "offset_mapping")
    try:
        collate([{name: row[name] for name in wanted if name in row} for row in read])
    except (IndexError, ValueError) as error:
        return type(error).__name__
    return "works"


found = {
    "tokens, two lengths": outcome(False, "one two three", "one two"),
    "words, one length": outcome(True, "one two", "two three"),
    "words, two lengths": outcome(True, "one two three", "one two"),
}
print("transformers", transformers.__version__, "tokenizers", tokenizers.__version__, found)
sys.exit(list(found.values()) != ["works", "works", "IndexError"])
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "transformers==5.24.0" "tokenizers==0.23.3" "numpy==2.4.6" || exit 77
TRANSFORMERS_VERBOSITY=error "$folder/env/bin/python" -W ignore "$folder/collate.py"
echo "as described"
