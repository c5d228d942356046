"""Models on disk: what is there by name, where others come from, and their graphs, exported when they are first needed."""
