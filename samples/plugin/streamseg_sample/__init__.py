"""A sample plug-in of streamseg: an effect, a sink, a result format, a source, a stage, an engine and a head, a module each."""
