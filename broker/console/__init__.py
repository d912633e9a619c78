"""The person's side of a session, whatever is behind it.

client (a channel)   editor (a line editor over it)   telling (sentences, JSON)
"""
