"""HTTP in and out: the endpoints that other systems call."""
