"""Many cameras on one engine, watched, recorded and told of: what `streamseg live` runs."""
