"""Every test; real peers at the edges, tables and hypothesis in the core."""
