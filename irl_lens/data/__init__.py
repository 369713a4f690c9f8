"""Demonstrations: drawn afresh by number, or from files."""
