"""Puts the SDK on the path of a forkserver: Python 3.11 tells it nothing of ours (CPython gh-117378).

What it then cannot import it leaves to each of its children without a word: a second of processor for each.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "sdk" / "src"))
