"""Wire protocols: one folder per external system, yielding that system's own records."""
