"""What holds for all tests, and for the processes that they start: set before NumPy is loaded."""

import os

# Tests multiply small matrices, in as many processes as there are cores: threads would wait for each other.
for library in ("OPENBLAS", "MKL", "OMP"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
