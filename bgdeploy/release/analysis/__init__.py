"""Checks as analysis: what they ask, how often, against which limits, and what it all comes to."""
