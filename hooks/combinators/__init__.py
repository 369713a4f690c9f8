"""Interventions made of interventions: scaled, summed, masked, one after the other."""
