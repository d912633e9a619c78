"""Interlock's broker: the way through, from an ssh client to a target and back.

    ssh client ──► ssh ──► identity ──► gate ───────────────► postgres | shell ──► target
                                         │ judge   policy
                                         │ review  review (desk) ◄── control ◄── tui, cli
                                         │ audit   evidence (log)
    ssh client ◄── ssh ◄── recordings ◄── mask ◄──────────────── what the target answers

The order is the security property, and `gate` owns it: judge, review, audit, then forward;
mask, record, then deliver. The core (errors, model, events, ports, gate, identity, policy, mask,
rows, wire, review.life) is values in and values out: it opens no socket or file, reads no clock and
schedules nothing. The edges (ssh, postgres, shell, store, evidence, control, config) do, and
`app` is the one place that knows all of them.
"""
