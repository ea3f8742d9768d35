"""Checkers: what reads a traced model, each in its own way, and says what it found."""
