"""The configuration file: YAML in, one frozen Config out, or every problem at once.

source (yaml with lines) ──► schema (what is allowed) ──► load (Config)
"""
