"""Training of the skills that an expert needs: PPO with a critic, on rewards at every step."""
