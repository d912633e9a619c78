"""`python -m broker` is `interlock`."""

import sys

from broker.cli.main import main

sys.exit(main())
