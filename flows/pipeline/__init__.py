"""The flow, its tasks, and the driver that it shares with single cells, studies and teacher runs."""
