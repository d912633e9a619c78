"""Corpora of evasions, copied verbatim, and nothing else."""
