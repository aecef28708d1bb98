"""The clock: what is due, who plans it, what carries it out."""
