"""Training: pretraining, supervised controllers, discovery, and the loop they share."""
