"""Adapters that put implementations through :mod:`irl_lens.conformance`: ours, others'."""
