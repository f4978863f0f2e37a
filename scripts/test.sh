#!/usr/bin/env bash
# Runs every test: the Swift suites, then the suite that drives real processes with the real pulsar-client. Both run even
# if the first fails; what failed is then said again at the very end, by name.
set -uo pipefail
cd "$(dirname "$0")/.."

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed=()
outcome=0

run() { # name, command...: shows the command's output, and remembers whether it failed
  local name=$1
  shift
  "$@" 2>&1 | tee "$logs/$name"
  local status=${PIPESTATUS[0]}
  if [ "$status" -ne 0 ]; then
    failed+=("$name")
    outcome=1
  fi
  return "$status"
}

finish() {
  if [ "$outcome" -ne 0 ]; then
    for name in "${failed[@]}"; do
      echo
      echo "== FAILED: $name"
      python3 scripts/failures.py "$logs/$name"
    done
  fi
  exit "$outcome"
}

if [ "${1:-}" != "--interop-only" ]; then
  run "swift build" swift build --build-tests || finish
  # As many tests at once as there are cores: more of them only make each other's deadlines pass.
  export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH="${SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH:-$(nproc)}"
  # The simulator and the faults keep every core busy, each by itself; beside them the others' deadlines would pass.
  run "simulation" swift test --skip-build --filter '^SimulationTests\.'
  run "faults" swift test --skip-build --filter '^FaultTests\.'
  run "swift test" swift test --skip-build --skip '^(SimulationTests|FaultTests)\.'
else
  run "swift build" swift build --product meridian || finish
fi

install_pytest() {
  if [ -x "$venv/bin/pytest" ]; then return; fi
  if ! python3 -m venv "$venv" 2>/dev/null; then
    scripts/setup.sh python3-venv && python3 -m venv "$venv" || return
  fi
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r Tests/Interop/requirements.txt
}

venv=.build/interop-venv
run "installing pytest" install_pytest || finish
export MERIDIAN_BIN="${MERIDIAN_BIN:-$PWD/.build/debug/meridian}"
run "interop tests" "$venv/bin/pytest" Tests/Interop
finish
