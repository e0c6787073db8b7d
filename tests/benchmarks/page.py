"""What a page of 500 rules with 50 failures weighs, and how long it takes to be written and to open.

    python tests/benchmarks/page.py

Beside the time on the wall stands that of the processors, of all processes of the browser: it does not depend
on what else the machine does.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from gradlab import Rule
from gradlab.reporters.page import page_of_run
from gradlab.runs import Listed, Options, Outcome, Run
from gradlab.runs.one import check, with_pictures

RULES, FAILURES = 500, 50


def main() -> None:
    rng = np.random.default_rng(0)
    big, small = rng.normal(size=(40, 25)), rng.normal(size=(4, 5))
    scale = np.where(np.arange(5) == 2, 2.0, 1.0)[:, np.newaxis]
    wrong = [
        Rule("entries", np.sin, lambda dy, x: dy * np.cos(x) * (x < 1), (big,)),
        Rule("matrix", np.matmul, lambda dy, x, w: (dy @ w.T, x.T @ dy * scale), (small, small.T)),
        Rule("kink", lambda x: np.maximum(x, 0), lambda dy, x: dy * 2 * (x > 0), (small,)),
    ]
    right = Rule("right", np.sin, lambda dy, x: dy * np.cos(x), (small,))
    results = [with_pictures(check(rule, Options(max_examples=2))) for rule in (*wrong, right)]
    outcomes = []
    for k in range(RULES):
        kind = k % len(wrong) if k < FAILURES else -1
        result, name = results[kind], f"{(*wrong, right)[kind].name}_{k}"
        assert result.report is not None
        report = replace(result.report, name=name)
        outcomes.append(Outcome(Listed(name, "rules"), report, pictures=result.pictures))
    started = time.process_time()
    page = page_of_run(Run(tuple(outcomes), (), {"seed": 0}, 1.0, RULES))
    print(f"{RULES} rules, {FAILURES} failures: {len(page.encode()) / 1e6:.2f} MB")
    print(f"written in {time.process_time() - started:.2f} s of processor time")
    chromium = shutil.which("chromium")
    if chromium is None:
        print("not opened: there is no Chromium")
        return
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "index.html")
        path.write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(3):
            tab = browser.new_page()
            started, before = time.perf_counter(), processor_time()
            tab.goto(path.as_uri(), wait_until="load")
            tab.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")  # is drawn
            wall, own = time.perf_counter() - started, processor_time() - before
            print(f"opened and drawn in {wall:.2f} s, {own:.2f} s of processor time")
            tab.close()
        browser.close()


def processor_time() -> float:
    """Return the seconds that the processes below this one have taken so far, on Linux."""
    parents, seconds = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
        seconds[int(stat.parent.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def below(process: int) -> bool:
        while process in parents:
            process = parents[process]
            if process == os.getpid():
                return True
        return False

    return sum(own for process, own in seconds.items() if below(process))


if __name__ == "__main__":
    sys.exit(main())
