"""The nouns that every stage speaks of: frames, instances, results; and masks from their small grids to pixels."""
