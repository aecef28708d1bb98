"""Trials: what the rules of correlation would answer, without anything being done."""
