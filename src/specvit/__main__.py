"""`python -m specvit`."""

from specvit.cli import main

main()
