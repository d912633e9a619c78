"""What a command line does, from its grammar: our own small tree, its facts, its canonical text.

bounds ─► (shfmt, an edge) ─► build ─► tree ─┬─► facts (wrappers, ways_out, mentions) ─► parts
                               scope         └─► home ─► emit ─► the text that runs

What is known is written out: variables, loops over known words, braces, sums. What only the
target knows (a variable of its own, what a command prints) stays in double quotes and is judged
as anything at all. What is sent is emitted again from the judged tree with every word quoted, so
the target's shell cannot read it differently; what cannot be judged is refused with a sentence
that names it.
"""

from broker.policy.shell.bounds import check_text
from broker.policy.shell.build import build
from broker.policy.shell.emit import canonical, emit
from broker.policy.shell.facts import facts
from broker.policy.shell.home import at_home
from broker.policy.shell.tree import Refused

__all__ = ["Refused", "at_home", "build", "canonical", "check_text", "emit", "facts"]
