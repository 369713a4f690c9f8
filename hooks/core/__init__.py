"""What every intervention is, where it acts, and how it is attached to a model."""
