"""One module for each command: ``configure`` adds its arguments, ``run`` returns an exit code."""
