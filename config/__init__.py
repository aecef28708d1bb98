"""Settings, policies, keys, clock, logs and the root of all errors."""
