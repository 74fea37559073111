# shellcheck shell=bash
# Sourced by ./dev: `./dev bench`. Each row starts servers of its own; release builds lie beside the others.

# The program that measures, in the foreground; Ctrl-C ends it and, with it, what it started.
bench() {
  local code=0
  lock "$D"
  need bench
  exec 8>>"$ROOT/.dev/build.lock"
  flock -n 8 || { step "waiting for another build here"; flock 8; }
  background "$D/log/build.log" cargo build --locked --release -p switchboard -p telegram-simulator -p switchboard-bench
  attend "building for release" "from nothing about 9 min on two cores" || die_log "the build failed" "$D/log/build.log"
  mkdir -p "$D/bin" "$D/runs" "$ROOT/.dev/reports"
  for name in switchboard telegram-simulator bench; do cp "$(target_dir)/release/$name" "$D/bin/$name"; done
  exec 8>&-
  export SWITCHBOARD_TEST_PGBIN=$PGBIN SWITCHBOARD_TEST_ZKCP=$ZKCP SWITCHBOARD_TEST_DIR=$D/runs SWITCHBOARD_HAPROXY=$HAPROXY \
    SWITCHBOARD_TEST_BIN=$D/bin/switchboard SWITCHBOARD_TEST_SIMULATOR=$D/bin/telegram-simulator SWITCHBOARD_BENCH_REPORT=$ROOT/.dev/reports
  # Ten thousand sockets need as many files, on both sides.
  ulimit -n "$(ulimit -H -n)"
  "$D/bin/bench" "$@" 9>&- || code=$?
  exit $code
}
