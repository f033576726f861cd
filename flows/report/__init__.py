"""Reports of a run, a backbone and a study: rows, terminal tables, CSV files, charts, HTML pages."""
