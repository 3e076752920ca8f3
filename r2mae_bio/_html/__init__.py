"""Models as notebooks show them: a table of facts, and curves of the loss as SVG.

Text takes its colour from the page, so that it is legible on a light and on a dark one; the colours
of the curves are told apart by colour-blind readers too.
"""
