"""Many cameras with seeded random faults for many minutes: nothing may crash, leak, or break what is always true."""
