"""Any Gymnasium environment as a world: its spaces, an expert or recorded episodes, labels."""
