"""The commands of the `specvit` program: thin shells over the package, one a module."""
