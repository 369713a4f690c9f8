"""What the agent does when its residual stream is written to: fields, paths, patched roll-outs."""
