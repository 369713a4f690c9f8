"""What codes are codes of: identity, clusters, algebra, rate and distortion, transfer."""
