"""Brings every raw event of an Amplitude project home: day by day, exactly once, verified."""

__version__ = "0.1.0"

PROJECT = "amplitude-export-pipeline"
