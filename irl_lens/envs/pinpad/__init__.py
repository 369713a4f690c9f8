"""The pinpad grid: coloured cells to be visited in order (arXiv 2512.20605, App. A.1)."""
