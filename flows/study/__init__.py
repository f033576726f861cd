"""Studies: a question, the candidates that answer it, a table, a figure, and a sentence computed from them."""
