"""What must hold whatever dies in between, with real processes.

`house` is a plant with everything that belongs to it, `oracle` says what is missing, doubled or corrupted in it,
`proxy` pulls cables, and `report` gathers what was found, of which `make faults` makes the table in
docs/reliability.md. Each test has two sizes: a short one in `make test`, and the full one.
"""
