"""Surveys: all that is known of each in a package of its own, and the simulated sky."""
