"""Run plateloop as ``python -m plateloop``."""

from plateloop.cli.main import main

main()
