#!/usr/bin/env bash
# Stop what start-slurm.sh started (by pid file only). Keeps logs; --purge removes the state dir.
set -uo pipefail
D=${SPECVIT_SLURM:-/tmp/specvit-slurm}
export SLURM_CONF="$D/slurm.conf"
is() { [ -r "/proc/$1/comm" ] && case "$(cat "/proc/$1/comm")" in "$2"*) return 0;; *) return 1;; esac; }
stop() { # pidfile program
  local p; p=$(cat "$1" 2>/dev/null) || return 0
  [ -n "$p" ] && is "$p" "$2" || { rm -f "$1"; return 0; }
  kill -TERM "$p"
  for _ in $(seq 1 50); do is "$p" "$2" || { rm -f "$1"; return 0; }; sleep 0.2; done
  kill -KILL "$p"; rm -f "$1"
}
if p=$(cat "$D/run/slurmctld.pid" 2>/dev/null) && [ -n "$p" ] && is "$p" slurmctld; then
  scancel --state=PENDING --user="$(id -un)" 2>/dev/null
  scancel --user="$(id -un)" 2>/dev/null
  for _ in $(seq 1 40); do [ -z "$(squeue -h -t R,CG,PD 2>/dev/null)" ] && break; sleep 0.25; done
fi
for f in "$D"/run/slurmd.*.pid; do [ -e "$f" ] && stop "$f" slurmd; done
stop "$D/run/slurmctld.pid" slurmctld
stop "$D/run/munged.pid" munged
[ "${1:-}" = "--purge" ] && [ -e "$D/slurm.conf" ] && rm -rf -- "$D"
exit 0
