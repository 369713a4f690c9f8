"""What all analyses stand on: results, claims, samples, probes, labels, null controllers."""
