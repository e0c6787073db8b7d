"""Other checkers of gradients beside gradlab: what they catch, and what they cost.

    pip install --editable '.[bench]'
    python tests/benchmarks/peers [--seeds 0 1 2] [--only defects|sizes] [--limit SECONDS]

Prints the tables of the page `benchmarks` of `gradlab docs`, in Markdown. A peer that is not installed is
left out, and said to be. Times are CPU times of one thread, which a busy machine changes least.
"""

import argparse
import datetime
import os
import platform

SINGLE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main(arguments):
    """Print everything."""
    os.environ.update(dict.fromkeys(SINGLE_THREAD, "1"))  # read when NumPy and PyTorch are imported, below
    import defects
    import numpy as np
    import sizes
    from checkers import PEERS

    import gradlab

    for peer in PEERS:
        if peer.version is None:
            print(
                f"{peer.name}: {peer.package} is not installed; the extra gradlab-verify[bench] brings it\n"
            )
    peers = [peer for peer in PEERS if peer.version is not None]
    versions = {"gradlab": gradlab.__version__, "Python": platform.python_version(), "numpy": np.__version__}
    versions |= {peer.package: peer.version for peer in peers if peer.package}
    print(f"{datetime.date.today()}, {platform.system()} {platform.machine()}, one thread;", end=" ")
    print(", ".join(f"{name} {version}" for name, version in versions.items()), end="; ")
    print(f"seeds {' '.join(map(str, arguments.seeds))}\n", flush=True)
    if arguments.only != "sizes":
        print(*defects.tables(defects.show(peers, arguments.seeds)), "", sep="\n", flush=True)
    if arguments.only != "defects":
        print(*sizes.tables(sizes.measure(peers, arguments.limit)), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Other checkers of gradients beside gradlab.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="draw the points (default: 0)")
    parser.add_argument("--only", choices=("defects", "sizes"), help="one half of it")
    parser.add_argument("--limit", type=float, default=5, help="seconds for each size, at most (default: 5)")
    main(parser.parse_args())
