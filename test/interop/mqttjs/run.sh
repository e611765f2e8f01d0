#!/usr/bin/env bash
# MQTT.js in a folder of the build.
#   run.sh install WORK_FOLDER             as package-lock.json has it; exit code 77 (skipped), loudly, if that fails
#   run.sh test WORK_FOLDER HOST PORT      runs interop.js there; exit code 77 if it is not installed
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what=$1 work=$2
shift 2
mkdir -p "$work"
cp "$here"/package.json "$here"/package-lock.json "$here"/interop.js "$work"
cd "$work"

installed() { cmp -s package-lock.json node_modules/.installed-from; }

case $what in
  install)
    installed && exit
    if ! npm ci --no-audit --no-fund --ignore-scripts --fetch-timeout=30000 --fetch-retries=1 >npm.log 2>&1; then
      echo "SKIPPED: MQTT.js is NOT TESTED, npm could not install it:"
      tail -n 20 npm.log
      exit 77
    fi
    cp package-lock.json node_modules/.installed-from
    ;;
  test)
    if ! installed; then
      echo "SKIPPED: MQTT.js is NOT TESTED, it is not installed"
      exit 77
    fi
    exec node interop.js "$@"
    ;;
esac
