"""Somtoday Connect 14.10 (Topicus)."""
