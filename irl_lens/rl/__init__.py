"""Reinforcement learning: roll-outs, the internal policy, raw-action RL, and oracles."""
