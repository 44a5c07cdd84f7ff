"""How fast Enginewatch is, each figure against a reference of the same run: `make bench`."""
