"""The canonical schema, and pure mappings between it and each system's records."""
