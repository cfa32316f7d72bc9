"""The command line behind the Makefile, a file a subject; `pipeline/__main__.py` puts them together."""
