"""The commands that are no task."""
