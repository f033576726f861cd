"""Analyses of studies: measured points, differences between them, a table, a sentence and a chart."""
