"""Transfer: koppelingen go to another tenant, with all that they brought; docs/mergers.md."""
