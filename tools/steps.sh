# shellcheck shell=bash
# Sourced by tools/setup, tools/test and tools/demo: one line a step, with its seconds; a step's own output goes
# to build/logs/ and is shown only when the step fails.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit
jobs=$(nproc)

# Paths inside the tree must not defeat the cache when the tree moves.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G}
export CTEST_OUTPUT_ON_FAILURE=1 CLICOLOR=0

# step "what" command arguments…
step() {
  local what=$1 started=$SECONDS log
  shift
  mkdir -p build/logs
  log=build/logs/${what//[^a-z0-9]/-}.log
  if "$@" >"$log" 2>&1; then
    printf '%-28s %5d s\n' "$what" $((SECONDS - started))
    return
  fi
  printf '%-28s %5d s  FAILED, the end of %s:\n' "$what" $((SECONDS - started)) "$log" >&2
  tail -n 60 "$log" >&2
  return 1
}

# build PRESET TARGET…: configures and builds; extra cmake settings come in the array `settings`.
settings=()
build() {
  local preset=$1
  shift
  cmake --preset "$preset" "${settings[@]}" || return
  cmake --build --preset "$preset" --parallel "$jobs" --target "$@"
}
