"""Alerts: from the health of the installation to who is told of what, once."""
