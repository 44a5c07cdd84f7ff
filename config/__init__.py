"""The settings, their commented defaults, and the asset classes."""
