"""Run ``fraudscan`` as ``python -m fraudscan``."""

import sys

from fraudscan.cli import main

sys.exit(main())
