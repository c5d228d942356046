"""Child: every call of `streamseg.device.driver`, by way of the real cuda-bindings."""

from __future__ import annotations

import json
import threading

import numpy as np

from streamseg.device.driver import Driver, OutOfMemory, find_gpu, sleep_while_waiting
from streamseg.errors import StreamsegError


def main() -> None:
    """See above."""
    found: dict[str, object] = {}
    sleep_while_waiting()
    try:
        gpu = find_gpu()
    except StreamsegError as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        return
    found["gpu"] = [gpu.name, *gpu.capability, gpu.memory]
    with Driver() as driver:
        stream, event, there = driver.stream(), driver.event(), driver.device_memory(100)
        here = driver.host_memory(100)
        here[:] = np.arange(100)
        driver.upload(there, here[:50], stream)
        driver.copy(there + 50, there, 50, stream)
        driver.record(event, stream)
        driver.wait(stream, event)
        driver.synchronize(event)
        back = driver.host_memory(100)
        driver.download(back, there, stream)
        found["back"] = back.tolist()
        with driver.capture(stream) as graphs:
            pass
        found["graphs"] = len(graphs)
        driver.launch(graphs[0], stream)

        def other() -> None:
            for name, before in (("unattached", lambda: None), ("attached", driver.attach)):
                before()
                try:
                    driver.record(event, stream)
                    found[name] = "done"
                except StreamsegError as error:
                    found[name] = str(error)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        try:
            driver.device_memory(1 << 40)
        except OutOfMemory as error:
            found["too much"] = str(error)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
