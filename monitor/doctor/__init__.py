"""What `enginewatch doctor` looks at, hop by hop, and what it makes of it."""
