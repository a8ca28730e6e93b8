"""On PYTHONPATH of a cluster run: the download of $HUNGRY_SHARD holds 950 MB for nothing.

Its rule asks for 1000 MB, for the job's Snakemake processes too, and for 1500 MB the second time.
"""

import os
import sys
import time

if "download" in sys.orig_argv and os.environ.get("HUNGRY_SHARD") in sys.orig_argv:
    ballast = b"x" * (950 << 20)
    time.sleep(4)  # SLURM looks once a second
