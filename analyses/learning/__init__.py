"""How training went: curves of one run, and of several methods side by side."""
