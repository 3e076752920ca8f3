#!/usr/bin/env bash
# transformers 5.24: a masked autoencoder of images that is made from its configuration does not know
# where patches lie, and cannot learn it.
#
# Expected: position embeddings of encoder and decoder are the fixed sines and cosines of the paper,
# which the module has a function for.
# Seen: both are zero, and frozen. The order of the patches makes no difference to the class token,
# and all hidden patches of an image are predicted alike.
# What follows for users: pretraining ViTMAEForPreTraining from random weights (not from a checkpoint,
# which brings its own) learns one mean patch for an image, at any mask ratio. The loss falls all the
# same. Copy positions in after the model is made; our benchmark of images does so.
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/positions.py" <<'PY'
import sys

import torch
import transformers
from transformers import ViTMAEConfig, ViTMAEForPreTraining

torch.manual_seed(0)
encoder = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
decoder = {f"decoder_{name}": value for name, value in encoder.items()}
model = ViTMAEForPreTraining(ViTMAEConfig(image_size=32, patch_size=8, mask_ratio=0.5, **encoder, **decoder)).eval()
places = [model.vit.embeddings.position_embeddings, model.decoder.decoder_pos_embed]
largest = max(float(place.abs().max()) for place in places)
frozen = not any(place.requires_grad for place in places)

image = torch.randn(1, 3, 32, 32)
patches = image.unfold(2, 8, 8).unfold(3, 8, 8).reshape(1, 3, 16, 8, 8)[:, :, torch.randperm(16)]
shuffled = patches.reshape(1, 3, 4, 4, 8, 8).permute(0, 1, 2, 4, 3, 5).reshape(1, 3, 32, 32)
with torch.no_grad():
    model.vit.config.mask_ratio = model.vit.embeddings.config.mask_ratio = 0.0
    tokens = [model.vit(x).last_hidden_state[:, 0] for x in (image, shuffled)]
    model.vit.config.mask_ratio = model.vit.embeddings.config.mask_ratio = 0.5
    found = model(image)
hidden = found.logits[0][found.mask[0] == 1]
moved, apart = float((tokens[0] - tokens[1]).abs().max()), float((hidden - hidden[0]).abs().max())

print("transformers", transformers.__version__, "torch", torch.__version__)
print(f"positions: largest number {largest}, frozen {frozen}")
print(f"class token of an image and of its patches in another order: {moved:.1e} apart")
print(f"predictions of {len(hidden)} hidden patches of an image: {apart:.1e} apart")
sys.exit(not (largest == 0 and frozen and not torch.equal(image, shuffled) and moved < 1e-5 and apart < 1e-5))
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "torch==2.13.0" "transformers==5.24.0" "numpy==2.4.6" || exit 77
"$folder/env/bin/python" -W ignore "$folder/positions.py"
echo "as described"
