"""Erasure of one person: who goes, what is told of it, how it is done, and done again."""
