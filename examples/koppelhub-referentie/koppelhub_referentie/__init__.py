"""A connector of another package: the Referentiebron, read whole, by changes, and by key."""
