"""HTTP in and out. Nothing of it exists in this release."""
