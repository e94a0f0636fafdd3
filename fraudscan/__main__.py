"""``python -m fraudscan`` is ``fraudscan``."""

import sys

from fraudscan.cli import main

sys.exit(main())
