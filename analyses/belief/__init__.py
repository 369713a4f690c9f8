"""What the model knows: gaps to the exact Bayes filter, probes, calibrated beliefs."""
