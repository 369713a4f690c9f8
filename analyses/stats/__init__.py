"""Estimates with intervals, significance tests, calibration."""
