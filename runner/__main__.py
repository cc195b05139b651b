"""Lets ``python -m runner`` do what the ``runner`` command does."""

from runner.cli import main

raise SystemExit(main())
