"""asyncssh's connections with the hot path of bulk data made short, and fair turns for all.

known        is this the asyncssh that the fast path was written for?
gcm          AES-GCM with its key schedule kept
connection   packets: whole buffers taken apart, whole chunks sealed at once
channel      writes that are cut into packets without being copied three times
adoption     puts a new connection or channel on the fast path, or leaves it alone
pressure     writers wait while a connection's socket is full
turns        bulk streams take turns, one chunk each, so that keystrokes need not wait

Everything rare (key exchange, authentication, requests, errors) stays asyncssh's own code: the fast
path takes only what it knows for certain, and hands all else on before it has changed any state.
"""
