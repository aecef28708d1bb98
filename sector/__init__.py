"""What the sector itself has fixed: identifiers and code tables."""
