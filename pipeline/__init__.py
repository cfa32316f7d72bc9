"""Brings every raw event of an Amplitude project home: day by day, exactly once, verified."""

__version__ = "0.4.0"

PROJECT = "amplitude-export-pipeline"
