"""A whole Interlock with nothing to set up: `interlock demo`, and the tour that checks it.

folder (keys, tokens, ssh config) · issuer (an OIDC provider) · database (embedded PostgreSQL)
· machine (an sshd, when there is one) ──► world (all of it, with a broker) ──► tour
"""
