"""The recipe language: from YAML files to one checked, explained, unbuilt recipe."""
