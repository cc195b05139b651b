"""What a recipe can name: one module for each kind, thin factories that import the rest inside."""
