"""Real servers on this machine; a package, so that its fixtures may end with it."""
