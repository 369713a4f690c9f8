"""The ant: a four-legged body that visits colours on a plane, in MuJoCo."""
