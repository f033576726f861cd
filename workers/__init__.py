"""Ray actor pools over plain functions of `lsd_core`."""
