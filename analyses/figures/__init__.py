"""How figures and pages look, and how a world is drawn."""
