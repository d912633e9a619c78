"""PostgreSQL targets: every way in leads to one relay, which has each message judged.

ways ──► console, interactive (psql in a sandbox, our line editor) ──┐
ways ──► forward (any driver through ssh -L) ────────────────────────┴──► relay ──► upstream
relay: sockets around wire.conversation; upstream: TLS, SCRAM; catalogue: which columns are masked
"""
