"""A run on disk: its folder, stages, checkpoints, copies, and summaries over seeds."""
