"""End to end: stock clients, a running broker, real targets."""
