"""Official code tables, each with its origin."""
