"""Magister (Iddink Group): own lists, the fixed functions, and SCIM."""
