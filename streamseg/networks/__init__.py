"""The networks in torch: Mask R-CNN in its arrangements, its losses and its weights on disk. Needs the extra `train`."""

from streamseg.system.imports import require_train

require_train()
