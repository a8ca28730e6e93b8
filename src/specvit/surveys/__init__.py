"""Surveys: catalogue columns, paths and FITS layout of each, and the simulated sky."""
