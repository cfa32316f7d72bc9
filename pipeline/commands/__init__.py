"""The command line behind the Makefile, a file a subject; `cli.py` puts them together."""
