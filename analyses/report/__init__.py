"""All of a run on one page, as numbers, or step by step."""
