"""What is kept of cameras: their recordings, clips of events, the events themselves, and incidents that can be run again.

A recording holds the camera's own packets: nothing is decoded or encoded for it. `recorder` writes them, fed by the thread that
reads the camera (`feed`); `store` is the data base; `retention` deletes what is old; `keeper` is the service that ties these
together.
"""
