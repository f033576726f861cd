"""Servers for this machine, images and clusters; imported by tests alone."""
