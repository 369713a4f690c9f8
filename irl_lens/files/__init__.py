"""Files written whole or not at all: tensors, JSON, sealed JSON, locks."""
