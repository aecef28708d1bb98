"""The tracking application itself as a source: its claims come in through the hub's inbox."""
