"""What must come out for what goes in: several hundred small films through the whole pipeline. See README.md."""
