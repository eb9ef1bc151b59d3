"""Speed, as ratios and call counts: `make bench`. Nothing here is asserted in seconds of this machine."""
