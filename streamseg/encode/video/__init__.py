"""Video files, exact in time and colour: container, codec, and the source's other streams beside the picture."""
