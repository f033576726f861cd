"""What a run, a backbone and a study come to, for people: rows, terminal tables, CSV files, charts, HTML pages."""
