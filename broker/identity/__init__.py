"""From a proven credential to an Identity: token claims in, certificate contents out.

ID token ──► tokens (keys from jwks) ──► claims ──► Identity ──► certificate ──► Identity
"""
