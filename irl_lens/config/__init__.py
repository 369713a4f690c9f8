"""Settings: what there is to set, presets, overrides, ranges."""
