"""Action heads: distributions over actions, read from the outputs of the unembedding."""
