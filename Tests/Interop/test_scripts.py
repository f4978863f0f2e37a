"""What the scripts say of a failed run: its end must name the tests that failed, because that is what people see."""

import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts/failures.py"


def said_of(tmp_path, log):
    path = tmp_path / "log"
    path.write_text(log)
    return subprocess.run([sys.executable, SCRIPT, path], capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_failed_swift_test_is_named_with_its_messages(tmp_path):
    assert said_of(tmp_path, """\
◇ Test run started.
◇ Test "A link heals" started.
◇ Test appends() started.
✔ Test appends() passed after 0.1 seconds.
✘ Test "A link heals" recorded an issue at LinkTests.swift:12:5: Expectation failed: (a → 1) == (b → 2)
↳ the second heartbeat
✘ Test "A link heals" failed after 0.2 seconds with 1 issue.
✘ Test run with 2 tests in 1 suite failed after 0.3 seconds with 1 issue.
error: Exited with unexpected signal code 1
""") == [
        '✘ Test "A link heals" recorded an issue at LinkTests.swift:12:5: Expectation failed: (a → 1) == (b → 2)',
        "↳ the second heartbeat",
        '✘ Test "A link heals" failed after 0.2 seconds with 1 issue.',
        "✘ Test run with 2 tests in 1 suite failed after 0.3 seconds with 1 issue.",
        "error: Exited with unexpected signal code 1",
    ]


def test_a_crash_names_the_tests_that_were_running(tmp_path):
    said = said_of(tmp_path, """\
◇ Test appends() started.
◇ Test reads() started.
✔ Test appends() passed after 0.1 seconds.
LedgerWriter.swift:20: Fatal error: Index out of range
""")
    assert said == ["LedgerWriter.swift:20: Fatal error: Index out of range", "not ended: Test reads()"]


def test_pytest_is_summed_up_and_a_compiler_error_is_shown(tmp_path):
    assert said_of(tmp_path, """\
E       assert 1 == 2
FAILED Tests/Interop/test_client.py::test_x - assert 1 == 2
========= 1 failed, 3 passed in 0.10s =========
""")[1:] == ["FAILED Tests/Interop/test_client.py::test_x - assert 1 == 2", "========= 1 failed, 3 passed in 0.10s ========="]
    error = "/src/Sources/Broker/Topic.swift:3:4: error: cannot find 'x' in scope"
    assert said_of(tmp_path, f"[1/2] Compiling\n{error}\n{error}\n") == [error]


def test_a_log_without_a_name_shows_its_end(tmp_path):
    said = said_of(tmp_path, "\n".join(f"line {n}" for n in range(100)))
    assert said[0].startswith("no test is named") and said[-1] == "line 99" and len(said) == 16
