"""Activation patching: what in the base's activations makes it act on a fact of the episode.

A clean and a corrupted episode differ in one edit (:mod:`~irl_lens.analyses.patching.pairs`);
activations of the clean run are put into the corrupted run, and a metric of the action logits
says how much of the clean behaviour comes back. Written afresh, as TransformerLens' own helpers
read the axis of steps from the input's last dimension, where observations have their columns.
"""
