#!/usr/bin/env bash
# Starts a real one-host SLURM cluster on loopback, without systemd and without slurmdbd.
# Idempotent. Debian 12, run as root.  Usage: start-slurm.sh; then: . "$SPECVIT_SLURM/env.sh"
#   SPECVIT_SLURM        state dir (default /tmp/specvit-slurm; short path: it holds a unix socket)
#   SPECVIT_SLURM_NODES  number of fake nodes (default 2)
#   SPECVIT_SLURM_CPUS / _MEM / _GPUS   per fake node (default 4 CPUs, 4000 MB, 2 GPUs)
set -euo pipefail
D=${SPECVIT_SLURM:-/tmp/specvit-slurm}
N=${SPECVIT_SLURM_NODES:-2} CPUS=${SPECVIT_SLURM_CPUS:-4} MEM=${SPECVIT_SLURM_MEM:-4000} GPUS=${SPECVIT_SLURM_GPUS:-2}
CTLD_PORT=${SPECVIT_SLURM_PORT:-16817}; SLURMD_PORT0=$((CTLD_PORT + 10))
HOST=$(hostname -s)

need=()
for pair in munged:munge slurmctld:slurmctld slurmd:slurmd sinfo:slurm-client; do
  command -v "${pair%%:*}" >/dev/null || [ -x "/usr/sbin/${pair%%:*}" ] || need+=("${pair##*:}")
done
if [ ${#need[@]} -gt 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
fi

# a pid file counts only while /proc says that the pid is still that program
alive() { local p; p=$(cat "$1" 2>/dev/null) || return 1; [ -n "$p" ] && [ -r "/proc/$p/comm" ] &&
          case "$(cat "/proc/$p/comm")" in "$2"*) return 0;; *) return 1;; esac; }

mkdir -p "$D"/{munge,state,log,run}; chmod 755 "$D"; chmod 711 "$D/munge"; chmod 755 "$D/state"
if [ ! -s "$D/munge/munge.key" ]; then
  (umask 077; dd if=/dev/urandom of="$D/munge/munge.key" bs=1024 count=1 status=none)
fi
chmod 600 "$D/munge/munge.key"

{ cat <<CONF
ClusterName=mini
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$CTLD_PORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$D/munge/munge.socket
CredType=cred/munge
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/state/slurmd.%n
SlurmctldPidFile=$D/run/slurmctld.pid
SlurmdPidFile=$D/run/slurmd.%n.pid
SlurmctldLogFile=$D/log/slurmctld.log
SlurmdLogFile=$D/log/slurmd.%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,default_queue_depth=1000
# accounting: none. squeue keeps finished jobs MinJobAge seconds, which is all the plugin needs
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$D/log/jobcomp.txt
MinJobAge=3600
# memory limit by polling (no cgroups needed)
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss
KillWait=3
InactiveLimit=0
OverTimeLimit=0
Waittime=0
ReturnToService=2
SlurmctldTimeout=60
SlurmdTimeout=60
DefMemPerCPU=100
GresTypes=gpu
CONF
  for i in $(seq 1 "$N"); do
    echo "NodeName=node$i NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((SLURMD_PORT0 + i)) CPUs=$CPUS RealMemory=$MEM Gres=gpu:$GPUS State=UNKNOWN" |
      sed 's/ Gres=gpu:0 / /'
  done
  echo "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO"
} > "$D/slurm.conf.new"
# Fake GPUs. 22.05 registers 0 of a count-only gpu (node goes INVAL) and wants one character
# device per GPU: private clones of /dev/null do, and the file's number becomes CUDA_VISIBLE_DEVICES.
: > "$D/gres.conf"
if [ "$GPUS" -gt 0 ]; then
  mkdir -p "$D/dev"
  for g in $(seq 0 $((GPUS - 1))); do [ -c "$D/dev/gpu$g" ] || mknod "$D/dev/gpu$g" c 1 3; done
  echo "NodeName=node[1-$N] Name=gpu File=$D/dev/gpu[0-$((GPUS - 1))]" > "$D/gres.conf"
fi
printf 'export SLURM_CONF=%q\n' "$D/slurm.conf" > "$D/env.sh"
if ! cmp -s "$D/slurm.conf.new" "$D/slurm.conf" && alive "$D/run/slurmctld.pid" slurmctld; then
  echo "configuration changed while the cluster is up: run stop-slurm.sh first" >&2; exit 1
fi
mv "$D/slurm.conf.new" "$D/slurm.conf"
export SLURM_CONF="$D/slurm.conf"

if ! alive "$D/run/munged.pid" munged; then
  rm -f "$D/munge/munge.socket" "$D/run/munged.pid"
  /usr/sbin/munged --socket="$D/munge/munge.socket" --key-file="$D/munge/munge.key" \
    --pid-file="$D/run/munged.pid" --log-file="$D/log/munged.log" --seed-file="$D/munge/munge.seed" --num-threads=2
fi
alive "$D/run/slurmctld.pid" slurmctld || /usr/sbin/slurmctld -f "$D/slurm.conf" >/dev/null 2>&1
for i in $(seq 1 "$N"); do
  alive "$D/run/slurmd.node$i.pid" slurmd || /usr/sbin/slurmd -N "node$i" -f "$D/slurm.conf" >/dev/null 2>&1
done

for _ in $(seq 1 150); do
  up=$(sinfo -h -N -o '%T' 2>/dev/null | grep -cE '^(idle|mixed|allocated)$' || true)
  [ "$up" = "$N" ] && { sinfo -N -o '%N %T %c %m %G'; exit 0; }
  sleep 0.2
done
echo "cluster did not come up; see $D/log" >&2; tail -n 5 "$D"/log/*.log >&2 || true; exit 1
