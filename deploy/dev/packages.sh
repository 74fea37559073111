# shellcheck shell=bash
# Sourced by ./dev: what has to be installed, found or, on Debian as root, fetched.

PGBIN='' ZKCP='' PYTHON='' CHROMIUM='' HAPROXY='' NGINX=''
find_tools() {
  PGBIN=${SWITCHBOARD_PGBIN:-$(find /usr/lib/postgresql /usr/pgsql-* -path '*/bin/initdb' -printf '%h\n' 2>/dev/null | sort -V | tail -n 1 || true)}
  [ -n "$PGBIN" ] || PGBIN=$(dirname "$(readlink -f "$(command -v initdb || echo /nonexistent/initdb)")")
  local jar=${SWITCHBOARD_ZKJAR:-/usr/share/java/zookeeper.jar} log=/usr/share/java/slf4j-simple.jar
  # The jar's manifest names its dependencies; without slf4j-simple the server would log nothing.
  ZKCP=$jar
  [ ! -e "$log" ] || ZKCP=$jar:$log
  local python
  PYTHON=
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then PYTHON=$(command -v "$python"); break; fi
  done
  # Not everybody has the folder of system programs in PATH.
  HAPROXY=${SWITCHBOARD_HAPROXY:-$(PATH=$PATH:/usr/sbin command -v haproxy || true)}
  NGINX=${SWITCHBOARD_NGINX:-$(PATH=$PATH:/usr/sbin command -v nginx || true)}
  CHROMIUM=${SWITCHBOARD_CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
}

need_rust() {
  local want have
  want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  command -v cargo >/dev/null || PATH=${HOME:-/root}/.cargo/bin:$PATH
  have=$(rustc --version 2>/dev/null | cut -d' ' -f2 || true)
  if [ "$(printf '%s\n' "$want" "${have:-0}" | sort -V | head -n 1)" != "$want" ]; then
    die "Rust $want or newer is needed, ${have:-none} was found (a distribution's is often too old). With rustup:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y     # or, if it is there: rustup update stable"
  fi
  [ "${1:-}" != test ] || { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1 ||
    die "formatter or linter missing; run: rustup component add rustfmt clippy"
}

# Installs what is missing when it may, else prints the line to run.
need() {
  [ -e "/proc/$$/stat" ] || die "./dev needs Linux (it reads /proc)"
  need_rust "${1:-}"
  find_tools
  [ -z "${SWITCHBOARD_PGBIN:-}" ] || [ -x "$PGBIN/initdb" ] || die "SWITCHBOARD_PGBIN=$PGBIN has no initdb"
  [ -z "${SWITCHBOARD_ZKJAR:-}" ] || [ -e "${ZKCP%%:*}" ] || die "SWITCHBOARD_ZKJAR=${ZKCP%%:*} does not exist"
  local missing=()
  command -v cc >/dev/null || missing+=(gcc libc6-dev)
  [ -x "$PGBIN/initdb" ] || missing+=(postgresql)
  [ -e "${ZKCP%%:*}" ] || missing+=(libzookeeper-java)
  command -v java >/dev/null || missing+=(default-jre-headless)
  if [ "${1:-}" = bench ] && [ -z "$HAPROXY" ]; then missing+=(haproxy); fi
  if [ "${1:-}" = test ]; then
    [ -n "${SWITCHBOARD_PYTHON:-}" ] || [ -n "$PYTHON" ] || missing+=(python3-venv)
    [ -n "$CHROMIUM" ] || missing+=(chromium)
    command -v systemd-analyze >/dev/null || missing+=(systemd)
    command -v promtool >/dev/null || missing+=(prometheus)
    [ -n "$HAPROXY" ] || missing+=(haproxy)
    [ -n "$NGINX" ] || missing+=(nginx-light)
    { command -v patroni && /usr/bin/python3 -c 'import kazoo'; } >/dev/null 2>&1 || missing+=(patroni python3-kazoo)
    command -v docker-compose >/dev/null || missing+=(docker-compose)
    command -v openssl >/dev/null || missing+=(openssl)
  fi
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || [ "${SWITCHBOARD_NO_INSTALL:-}" = 1 ] || ! command -v apt-get >/dev/null; then
    die "missing: ${missing[*]} (Debian's names); on Debian or Ubuntu run:
    sudo apt-get install --no-install-recommends ${missing[*]}"
  fi
  install_packages "${missing[@]}"
  find_tools
}

# Writes a file outside the checkout for as long as packages are being installed. What stood there comes back.
OVERRIDDEN=()
override() { # FILE MODE TEXT REASON
  step "writing $1 while installing ($4)"
  mkdir -p "${1%/*}"
  [ ! -e "$1" ] || cp -p "$1" "$1.before-switchboard"
  OVERRIDDEN+=("$1")
  printf '%s\n' "$3" >"$1"
  chmod "$2" "$1"
}
undo_overrides() {
  local file
  for file in "${OVERRIDDEN[@]}"; do
    if [ -e "$file.before-switchboard" ]; then mv "$file.before-switchboard" "$file"
    # The package's own version, which stepped aside for ours.
    elif [ -e "$file.ucf-dist" ]; then mv "$file.ucf-dist" "$file"
    else rm -f "$file"; fi
    rm -f "$file.ucf-dist"
    step "$file is as it would be without us"
  done
  OVERRIDDEN=()
}
install_packages() {
  local log=$D/log/apt.log
  step "installing Debian packages: $* (about a minute, with a browser two)"
  override /usr/sbin/policy-rc.d 755 $'#!/bin/sh\nexit 101' 'so that no package starts a service'
  [[ " $* " != *" postgresql "* ]] ||
    override /etc/postgresql-common/createcluster.conf 644 'create_main_cluster = false' 'so that no database cluster is made outside the checkout'
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2016
  background "$log" sh -c 'apt-get update && apt-get install -y --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold "$@"' sh "$@"
  attend "installing" "the log: ${log#"$ROOT"/}" || { undo_overrides; die_log "installing failed" "$log"; }
  undo_overrides
}
