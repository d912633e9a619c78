"""The front door: one SSH port; the user name says where to, the certificate says who.

    listener ──► auth (certificate → Identity) ──► channel (one Client) ──► dispatch
        dispatch: login | approvals (the TUI in a pty) | verbs (broker@) | a target | forward (-L)

asyncssh stays inside this package: its objects become our nouns at once and never travel inward.
"""
