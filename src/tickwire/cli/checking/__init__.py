"""What `tickwire check` looks at, and what it makes of it."""
