"""The commands of `koppelhub`, by what they are about; cli.py puts them together."""
