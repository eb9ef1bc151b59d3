"""`python -m bgdeploy`."""

from bgdeploy.cli import main

main()
