"""Types of settings that several stages share, with the ranges of their numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from irl_lens.config.ranges import Range

Targets = Literal["actions", "policy"]
"""What action logits learn from: the actions drawn (the paper), or the probabilities the expert
drew them from. The expected gradient is the same; the latter's is less noisy."""
Schedule = Literal["constant", "cosine"]
"""Learning rate over training: constant (the paper), or down to zero along half a cosine."""
Activation = Literal["relu", "gelu", "silu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"]
"""TransformerLens' activations but those that come with a layer norm of their own."""
Deviation = Literal["constant", "state"]
"""What the standard deviation of actions is: a weight for each entry, the same at every step, or
read from the stream as the mean is."""

# What is larger would not fit into memory, or never end.
Steps = Annotated[int, Range(0, 1_000_000_000)]
Rows = Annotated[int, Range(1, 8_192)]
"""Trajectories or episodes at once."""
Width = Annotated[int, Range(1, 8_192)]
Layer = Annotated[int, Range(1, 256)]
LearningRate = Annotated[float, Range(0, 1e38, above=True)]
"""As large as float32 holds: what diverges is for training to say."""
Decay = Annotated[float, Range(0, 1e6)]
LogSigma = Annotated[float, Range(-20, 10)]
Knots = Annotated[tuple[tuple[float, float], ...], Range(0, 1e6)]
Temperature = Annotated[float, Range(1e-3, 1e3)]
Epsilon = Annotated[float, Range(0, 1, below=True)]
"""Probability a step of a random non-terminating action of the expert."""
