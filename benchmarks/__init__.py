"""Measurements: what stands in the docs as a figure is made here."""
