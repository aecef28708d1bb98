"""The overstapdossier (OSO). Nothing of it exists in this release."""
