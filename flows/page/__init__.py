"""The report of a backbone's samplers: one HTML page that needs nothing else, computed from the store."""
