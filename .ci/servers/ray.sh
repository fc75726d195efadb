#!/bin/bash
# Starts the head of a Ray on this machine's loopback, runs a command with its address in VISHWA_RAY, and ends the head with all of its
# processes: ray.sh VENV COMMAND... . By hand, and no gate: of three starts on two busy cores one was good, one was too late, one crashed.
set -euo pipefail
venv=$1
shift
PATH=$venv/bin:$PATH
export PATH RAY_USAGE_STATS_ENABLED=0 RAY_raylet_start_wait_time_s=300
dir=$(mktemp -d /tmp/vishwa-ray.XXXXXX) # a short path: sockets lie below it
port=${VISHWA_RAY_PORT:-26500}
setsid ray start --head --block --node-ip-address=127.0.0.1 --port="$port" --dashboard-host=127.0.0.1 --dashboard-port=$((port + 1)) \
  --ray-client-server-port=$((port + 2)) --dashboard-agent-listen-port=$((port + 3)) --dashboard-agent-grpc-port=$((port + 4)) \
  --metrics-export-port=$((port + 5)) --node-manager-port=$((port + 6)) --object-manager-port=$((port + 7)) --min-worker-port=$((port + 10)) \
  --max-worker-port=$((port + 40)) --num-cpus=2 --object-store-memory=100000000 --temp-dir="$dir" --disable-usage-stats >"$dir.log" 2>&1 </dev/null &
head=$!
stop() {
  kill -TERM -- "-$head" 2>/dev/null || true
  for _ in $(seq 20); do kill -0 -- "-$head" 2>/dev/null || break; sleep 0.5; done
  kill -KILL -- "-$head" 2>/dev/null || true
  wait "$head" 2>/dev/null || true
  rm -rf "$dir" "$dir.log"
}
trap stop EXIT
export VISHWA_RAY=http://127.0.0.1:$((port + 1))
for _ in $(seq 300); do
  if python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + "/api/version", timeout=2)' "$VISHWA_RAY" 2>/dev/null; then
    "$@"
    exit
  fi
  kill -0 "$head" 2>/dev/null || break
  sleep 1
done
echo "Ray's head does not answer; its log ends with:" >&2
tail -20 "$dir.log" >&2
exit 1
