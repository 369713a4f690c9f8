"""Adapters that put implementations through :mod:`irl_lens.hooks.conformance`: ours, others'."""
