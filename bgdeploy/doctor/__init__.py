"""What a release would fail on, and what would make it fail later: looked at all at once, judged, and mended."""
