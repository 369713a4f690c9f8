"""What ``import irl_lens`` and the command line give: one function a command, plain values back.

Importing these modules is cheap; what they need is imported when they are called.
"""
