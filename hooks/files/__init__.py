"""Interventions on disk: safetensors with a header that says what they are for."""
