"""Protocols that several systems speak."""
