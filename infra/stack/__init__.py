"""Real servers on this machine's loopback."""
