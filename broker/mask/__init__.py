"""What goes back is masked here: values in rows, text in streams; pure, and blind to chunking.

rules (what, how) ──► detect (spans in text) ──► values (one cell) | stream (bytes in pieces)
"""
