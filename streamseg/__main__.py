"""`python -m streamseg` is the command line."""

from streamseg.cli import main

main()
