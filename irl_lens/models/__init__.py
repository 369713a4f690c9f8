"""Models: the base sequence model, its fast path, and the metacontroller."""
