# shellcheck shell=bash
# Sourced by ./dev: `./dev test` and `./dev chaos`, on servers of their own under .dev/test.

PASSED=0 FAILED=0 FAILURES=() TOLD=no
heading() { printf '\n==== %s ====\n' "$*"; }
# Fails as a whole, with the end of its output.
must() { # LABEL HINT COMMAND...
  local label=$1 hint=$2 log=$D/log/$1.log
  shift 2
  heading "$label: $*"
  background "$log" "$@"
  attend "$label" "$hint" && return
  # From the first error on; what comes before it is compiling.
  sed -n '/^\(error\|Error\|Diff in\)/,$p' "$log" | head -n 150 | sed 's/^/    /'
  if grep -q '^\(error\|Error\|Diff in\)' "$log"; then show_log "$log" 0; else show_log "$log" 80; fi
  FAILED=$((FAILED + 1)) FAILURES+=("$label (${log#"$ROOT"/})")
  return 1
}
# The same, counted like a test, and the rest goes on.
check() { if must "$@"; then PASSED=$((PASSED + 1)); fi; }

# Adds up what libtest says, or the battery in the same words.
# A run without a result, or with a failure it does not count, is one failure.
count() { # LABEL LOG CODE
  local passed failed
  read -r passed failed < <(sed -nE 's/^(test|chaos) result: .* ([0-9]+) passed; ([0-9]+) failed.*/\2 \3/p' "$2" | awk '{p += $1; f += $2} END {print p + 0, f + 0}')
  if [ "$3" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
  PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
  if [ "$failed" != 0 ]; then FAILURES+=("$1: $failed failed ($(lasted $((SECONDS - JOB_START))), ${2#"$ROOT"/})"); fi
}
# Streams the output as it comes. In a session of its own, so that nothing it started outlives it.
run_tests() { # LABEL FOLDER COMMAND...
  local label=$1 folder=$2 log=$D/log/$1.log code=0 group
  shift 2
  heading "tests: $label"
  JOB_START=$SECONDS
  : >"$log"
  (cd "$folder" && CARGO_MANIFEST_DIR=$folder exec setsid "$@") </dev/null >>"$log" 2>&1 9>&- &
  JOB=$! group=$JOB
  tail -n +1 -f -s 0.2 --pid="$JOB" "$log" || true
  wait "$JOB" || code=$?
  JOB=
  kill -KILL -- "-$group" 2>/dev/null || true
  count "$label" "$log" "$code"
  echo "($label: $(lasted $((SECONDS - JOB_START))))"
}

# One line per test executable: order, package folder, name, path. The quick ones come first, the scenarios last.
test_executables() {
  grep '"test":true},"features"' "$1" | sed -nE 's/.*"manifest_path":"([^"]*)\/Cargo\.toml","target":\{"kind":\["([a-z-]*)".*"crate_types":\[[^]]*\],"name":"([^"]*)".*"executable":"([^"]*)".*/\2\t\1\t\3\t\4/p' |
    awk -F'\t' -v OFS='\t' '{print ($3 == "scenarios" ? 9 : $3 == "tidy" ? 0 : $1 == "test" ? 3 : 1), $2, ($1 == "test" ? $3 : $3 "-" $1), $4}' | sort
}

python_environment() {
  local wanted=tests/simulators/telegram/peer/requirements.txt venv=$ROOT/.dev/venv log=$D/log/venv.log
  if [ -n "${SWITCHBOARD_PYTHON:-}" ] || [ ! -e "$wanted" ]; then return 0; fi
  export SWITCHBOARD_PYTHON=$venv/bin/python
  ! cmp -s "$wanted" "$venv/installed.txt" || return 0
  # shellcheck disable=SC2016
  background "$log" sh -c 'rm -rf "$1" && "$2" -m venv "$1" && "$1/bin/pip" install --no-input -r "$3" && cp "$3" "$1/installed.txt"' sh "$venv" "$PYTHON" "$ROOT/$wanted"
  attend "a Python for the tests" "half a minute" || die_log "the Python packages of the tests could not be installed" "$log"
}

# What the scenarios start their servers and processes from.
test_environment() {
  rm -rf "$D/runs"
  mkdir -p "$D/runs"
  export SWITCHBOARD_TEST_PGBIN=$PGBIN SWITCHBOARD_TEST_ZKCP=$ZKCP SWITCHBOARD_TEST_DIR=$D/runs SWITCHBOARD_TEST_BIN=$D/bin/switchboard \
    SWITCHBOARD_TEST_SIMULATOR=$D/bin/telegram-simulator SWITCHBOARD_CHROMIUM=$CHROMIUM SWITCHBOARD_HAPROXY=$HAPROXY \
    SWITCHBOARD_NGINX=$NGINX RUST_BACKTRACE=${RUST_BACKTRACE:-1}
}
test_servers() {
  step "a Postgres and a ZooKeeper for the tests"
  rm -rf "$D/pg" "$D/zk"
  PORTS[postgres]=25532 PORTS[zookeeper]=22281
  postgres_up
  zookeeper_up
  export SWITCHBOARD_TEST_POSTGRES SWITCHBOARD_TEST_ZOOKEEPER
  SWITCHBOARD_TEST_POSTGRES=postgresql://switchboard:$(cat "$D/secrets/pg-password")@127.0.0.1:$(port postgres)/postgres
  SWITCHBOARD_TEST_ZOOKEEPER=127.0.0.1:$(port zookeeper)
}

# The executable with its crash points, which must never be the one that `./dev up` runs: built, then copied away.
# `--test tidy` is named so that Cargo chooses the features of libraries as for the tests; else a dozen of them
# would be built a second time.
build_faulty() {
  exec 8>>"$ROOT/.dev/build.lock"
  flock 8
  must build-faults "one minute after the tests' own build" cargo build --locked --workspace --bins --test tidy --features switchboard/faults || return 1
  keep switchboard "$D/bin"
  keep telegram-simulator "$D/bin"
  keep chaos "$D/bin"
  exec 8>&-
}

# The battery of faults. Its report is kept beside what the runs leave.
run_chaos() { # ARGUMENT...
  mkdir -p "$ROOT/.dev/reports"
  run_tests chaos "$ROOT" "$D/bin/chaos" --report "$ROOT/.dev/reports/chaos.json" "$@"
}
chaos_alone() {
  lock "$D"
  rm -rf "$D/log"
  trap end_of_test EXIT
  trap 'exit 130' INT TERM HUP
  need test
  build_faulty || { TOLD=yes; return; }
  test_environment
  run_chaos "$@"
  echo "report: .dev/reports/chaos.json"
  TOLD=yes
}

test_all() {
  local filter='' listing=$D/log/build-tests.json order folder name path arguments
  while [ $# -gt 0 ]; do
    case $1 in
      --full) export SWITCHBOARD_TEST_FULL=1 ;;
      -*) die "usage: ./dev test [--full] [NAME]" ;;
      *) [ -z "$filter" ] || die "one NAME at most"; filter=$1 ;;
    esac
    shift
  done
  lock "$D"
  rm -rf "$D/log"
  trap end_of_test EXIT
  trap 'exit 130' INT TERM HUP
  need test
  if [ -z "$filter" ]; then
    check fmt "a second" cargo fmt --all --check
    check clippy "from nothing about 3 min on two cores" cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
    check doc "half a minute" env RUSTDOCFLAGS=-Dwarnings cargo doc --locked --workspace --no-deps --all-features
  fi
  # shellcheck disable=SC2016
  must build-tests "from nothing about 5 min on two cores" sh -c 'cargo test --locked --workspace --no-run --message-format=json-render-diagnostics >"$1"' sh "$listing" || { TOLD=yes; return; }
  build_faulty || { TOLD=yes; return; }
  heading "servers"
  test_environment
  test_servers
  python_environment
  test_executables "$listing" >"$D/log/executables.tsv"
  [ -s "$D/log/executables.tsv" ] || die "cargo named no test executable"
  while IFS=$'\t' read -r -u 7 order folder name path; do
    arguments=()
    if [ "$order" = 9 ]; then arguments+=(--test-threads=1); fi
    # NAME may also name a whole program of tests; one without any such test is passed over.
    if [[ -n $filter && $name != *"$filter"* ]]; then
      "$path" --list "$filter" 2>/dev/null | grep ': test$' >/dev/null || continue
      arguments+=("$filter")
    fi
    run_tests "$name" "$folder" "$path" "${arguments[@]}"
  done 7<"$D/log/executables.tsv"
  # Scenarios of the battery may be named, too; `chaos` names all that belong to every run.
  if [[ -z $filter || chaos == *"$filter"* ]]; then run_chaos
  elif "$D/bin/chaos" --list | awk '{print $2}' | grep -F -- "$filter" >/dev/null; then run_chaos --only "$filter"; fi
  [ -n "$filter" ] || run_tests examples-in-docs "$ROOT" cargo test --locked --workspace --doc --no-fail-fast
  if [ -n "$filter" ] && [ $((PASSED + FAILED)) = 0 ]; then FAILED=$((FAILED + 1)) FAILURES+=("no test and no program of tests has a name with \`$filter\`"); fi
  TOLD=yes
}

# A Postgres that a test started and could not stop any more: its pid file lies in our folder, and its command
# line says so too.
stop_strays() {
  local file pid
  [ -d "$D/runs" ] || return 0
  while IFS= read -r file; do
    pid=$(head -n 1 "$file" 2>/dev/null || true)
    if tr '\0' ' ' 2>/dev/null <"/proc/${pid:-0}/cmdline" | grep -F -- "-D ${file%/*} " >/dev/null; then
      step "stopping a Postgres that a test left in ${file%/*}"
      kill -QUIT "$pid" 2>/dev/null || true
    fi
  done < <(find "$D/runs" -name postmaster.pid 2>/dev/null)
}

# However it ends: servers stopped, files put back, the failures named, and the two numbers as the last line.
end_of_test() {
  local code=$? failure
  trap '' INT TERM HUP
  trap - EXIT
  stop_job
  undo_overrides
  stop_all
  stop_strays
  if [ $TOLD = no ]; then FAILED=$((FAILED + 1)) FAILURES+=("did not come to its end (see above)"); fi
  echo
  for failure in "${FAILURES[@]}"; do echo "FAILED: $failure"; done
  echo "all logs: .dev/test/log; in all $(lasted "$SECONDS")"
  echo "$PASSED passed, $FAILED failed"
  if [ $FAILED != 0 ] && [ $code = 0 ]; then code=1; fi
  exit $code
}
