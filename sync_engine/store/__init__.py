"""The tables of the hub and the way to them."""
