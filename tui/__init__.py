"""The approvals and playback screens: what waits, what it would do, two keys to answer.

    __main__   python -m tui --control-fd N: the control channel in, one person's terminal out
    app        theme, pushes from the broker, bell and title
    screens    approvals, confirm (let run? why not?), sessions, replay, help
    widgets    one value shown each; they post messages and never ask the broker
    text       the only maker of what widgets show: text from others can do nothing here
    keys       the one table of keys: bindings, footer and help come from it
    link       the broker's clock, and whether anybody is at the other end
    waiting    the queue: order, focus
    pages, reel, emulator   a recording, played as cells of an emulated terminal

It reaches the broker only over the control channel: no credentials, no network, no files.
"""
