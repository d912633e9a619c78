"""Evidence: the audit log, a C2SP transparency log, and the recordings that are tied into it.

    merkle     RFC 6962 trees: roots, inclusion and consistency proofs; pure
    tiles      which files a tree of a size is made of, and what is in each; pure
    note       signed notes, the log's public key line, checkpoints; pure
    entry      an event as one canonical JSON entry; pure
    pending    entries that are written but not yet sealed, as records; pure
    keys       the log's signing key on disk
    replay     read a log from its first entry, checking every file of it
    log        the open log: append, seal, recover (implements ports.Audit)
    recorder   one session's recording, tied into the log (implements ports.Recorder)
    ledger     what the log says of recordings, compared with the files
    files      files that somebody may have been at, listed and opened with care
    verify     the auditor's question: was anything altered, removed or reordered?

The signed checkpoint covers all that is sealed: every second, and at once for whatever is
durable. Until then an entry is guarded by a plain checksum only; who may write to the state
directory and holds the signing key can rewrite the log, and only a copy of an earlier
checkpoint, held by somebody else, shows it.
"""
