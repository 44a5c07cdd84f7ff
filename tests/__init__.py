"""Tests, a file a room; `end_to_end/` runs the real servers."""
