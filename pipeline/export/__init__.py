"""Amplitude: its Export API, and what a trustworthy export archive is. The only room that imports requests."""
