"""The HTTP port: health, metrics and commands, and who may ask for them."""
