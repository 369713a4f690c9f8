"""CompILE (Kipf et al. 2019): segments of demonstrations, a code each, a policy for a code.

Compositional Imitation Learning and Execution, arXiv 1812.01483 (ICML 2019), which the paper
compares with (arXiv 2512.20605, Fig. 8). It reads raw observations and needs no base model.
"""
