"""The disk: where a day's data lies, how it is published, and what its records say."""
