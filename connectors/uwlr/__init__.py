"""UWLR, as the reading side (EA): pupils, groups and staff of any administration that serves it."""
