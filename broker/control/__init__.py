"""What approvers, auditors and agents may ask of the broker, by whichever door they come.

ssh broker@ VERB ──► operations ◄── server ◄── (one JSON object a line) ── client ◄── tui
"""
