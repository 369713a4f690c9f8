"""Analyses of a run: score, probe and draw.

Every analysis is a plain function that returns a
:class:`irl_lens.analyses.core.result.Result`, and has a name in :mod:`irl_lens.analyses.registry`;
:mod:`irl_lens.analyses.analyze` runs them by name. The report, the evaluation and the scan are
selections of them, and :func:`irl_lens.analyses.explorer.explore` opens a run to be patched,
edited, steered and forked by hand.
"""
