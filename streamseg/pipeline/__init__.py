"""Where the stages meet: what a run is made of, which outputs it has, what it reports, how fast it is."""
