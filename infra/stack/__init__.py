"""Real servers on this machine's loopback, started and stopped by whoever needs them."""
