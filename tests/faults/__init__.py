"""What must hold whatever dies in between, with real processes."""
