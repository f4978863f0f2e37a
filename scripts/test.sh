#!/usr/bin/env bash
# Runs every test: the Swift suites, then the suite that drives real processes with the real pulsar-client.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" != "--interop-only" ]; then
  swift build --build-tests
  # As many tests at once as there are cores: more of them only make each other's deadlines pass.
  export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH="${SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH:-$(nproc)}"
  swift test --skip-build
else
  swift build --product meridian
fi

venv=.build/interop-venv
if [ ! -x "$venv/bin/pytest" ]; then
  if ! python3 -m venv "$venv" 2>/dev/null; then
    scripts/setup.sh python3-venv
    python3 -m venv "$venv"
  fi
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r Tests/Interop/requirements.txt
fi
MERIDIAN_BIN="${MERIDIAN_BIN:-$PWD/.build/debug/meridian}" "$venv/bin/pytest" Tests/Interop
