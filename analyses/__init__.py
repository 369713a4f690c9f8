"""Analyses of a run: score, probe and draw.

Every analysis is a plain function that returns a frozen result with ``figure()`` (plotly)
and ``to_dataframe()``. :func:`irl_lens.analyses.report.evaluate.evaluate_run` gathers the numbers
of all of them, :func:`irl_lens.analyses.report.report.build_report` their figures, and
:func:`irl_lens.analyses.explorer.explore` opens a run to be patched, edited, steered and forked.
"""
