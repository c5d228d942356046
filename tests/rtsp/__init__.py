"""A real RTSP server, GStreamer's, and what happens to cameras: killed, stopped, restarted as another, behind a bad network."""
