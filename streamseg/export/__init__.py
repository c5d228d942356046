"""From a network in torch to one plugin-free ONNX graph that every runtime takes. Needs the extra `train`."""

from streamseg.system.imports import require_train

require_train()
