"""Order, retries and records: the Prefect flow, its tasks and the command line."""
