"""One film, divided in ranges: many workers look and draw, identities are followed in order, and the answer is that of one."""
