#!/usr/bin/env python3
"""Says which tests failed and why, from the logs of `swift build`, `swift test` and pytest.

    scripts/failures.py LOG...

scripts/test.sh prints this last, because whoever looks at a failed run sees the end of its log first.
"""

import re
import sys

ISSUE = re.compile(r"^✘ .* recorded an issue|^✘ .* failed after|error: .*\.\w+ : |^✘ .* timed out")
RUN = re.compile(r"Test run with \d+ tests?")
STARTED = re.compile(r"^◇ (Test (?!run started).*) started\.$")
ENDED = re.compile(r"^[✔✘➜] (Test .*?) (?:passed after|failed after|skipped)")
CRASH = re.compile(r"unexpected signal|Fatal error|💣|^\*\*\* .*(crash|signal)", re.IGNORECASE)
COMPILER = re.compile(r"^(?:/|Sources|Tests).*:\d+:\d+: error: |^error: ")
PYTEST = re.compile(r"^(?:FAILED|ERROR) |^=+ .*\b(?:failed|errors?)\b.* =+$|^E  ")
LONGEST_LINE = 400
MOST_LINES = 80


def failures(log):
    """The lines of one log that name a failure, in order, without repeats."""
    found = []
    running = {}
    crashed = False
    complete = False
    follows = False
    for line in log.splitlines():
        line = re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip()
        started, ended = STARTED.match(line), ENDED.match(line)
        if started:
            running[started.group(1)] = True
        if ended:
            running.pop(ended.group(1), None)
        if RUN.search(line):
            complete = complete or not line.startswith("◇")
        if follows and line.startswith("↳"):
            found.append(line)
            continue
        follows = bool(ISSUE.search(line))
        if CRASH.search(line):
            crashed = True
        if follows or CRASH.search(line) or COMPILER.search(line) or PYTEST.search(line):
            found.append(line)
    if running and (crashed or not complete):
        found += [f"not ended: {name}" for name in running]
    return list(dict.fromkeys(found))


def main(paths):
    """Prints the failures of every log, or the end of those that name none."""
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            log = file.read()
        lines = failures(log) or ["no test is named; the end of the log:", *log.splitlines()[-15:]]
        if len(lines) > MOST_LINES:
            lines = [*lines[:MOST_LINES], f"... and {len(lines) - MOST_LINES} lines more"]
        for line in lines:
            print(line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + " ...")


if __name__ == "__main__":
    main(sys.argv[1:])
