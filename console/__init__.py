"""What people and scripts see of the command line: tables, JSON, progress, the demo's story."""
