"""`streamseg train` as a library: data, the trainer, its checkpoints and its evaluations. Needs the extra `train`."""

from streamseg.system.imports import require_train

require_train()
