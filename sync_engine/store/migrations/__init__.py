"""The migrations of the schema, forward only; `Store.upgrade` runs them."""
