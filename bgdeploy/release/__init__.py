"""One release: what it does before it starts, how it is followed, and how it ended."""
