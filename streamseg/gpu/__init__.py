"""Pictures on the GPU, from decode to composite: the stages of the pipeline where frames live there.

A frame whose `picture` is a `DevicePicture` lives on the GPU; every stage takes frames of either kind. torch and triton (the extra
`gpu`) are imported only once a `Device` is made.
"""

from streamseg.device.device import Device, why_not_gpu
from streamseg.device.picture import DevicePicture
from streamseg.gpu.choose import choose_device
from streamseg.gpu.composite import DeviceCompositor
from streamseg.gpu.decode import DeviceDecoding
from streamseg.gpu.preprocess import DevicePreprocess

__all__ = ["Device", "DeviceCompositor", "DeviceDecoding", "DevicePicture", "DevicePreprocess", "choose_device", "why_not_gpu"]
