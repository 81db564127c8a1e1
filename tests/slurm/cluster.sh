#!/usr/bin/env bash
# A real SLURM on one machine for the tests: a controller, two nodes and munge, with GPUs that are only names.
#
#   cluster.sh start    write a configuration, start the daemons, wait until both nodes are idle
#   cluster.sh path     print the folder of the SLURM commands of this cluster
#   cluster.sh stop     cancel all jobs and end the daemons that `start` started
#
# Needs root and Debian's slurm-wlm and munge. Everything lies under $SLURM_TEST_DIR; the daemons listen on loopback only.
# Jobs see CUDA_VISIBLE_DEVICES as on a real cluster. Memory and time limits are enforced. There is no accounting.
set -euo pipefail

DIR=${SLURM_TEST_DIR:?the folder for the state of the cluster}
PORT=${SLURM_TEST_PORT:-16917}
# What each node claims to have, whatever the machine has.
CPUS=8
GPUS=2
MEMORY=$(awk '/^MemTotal/ {print int($2 / 1024 * 0.4)}' /proc/meminfo)
NODES=(node1 node2)
HOST=$(hostname -s)

configure() {
    mkdir -p "$DIR"/{bin,dev,log,pid,controller,node1,node2,munge}
    chmod 755 "$DIR" "$DIR/munge"
    (umask 077 && head -c 128 /dev/urandom >"$DIR/munge/key")
    # SLURM counts a GPU only if its file is a device; a link to /dev/null is one.
    local number
    for ((number = 0; number < GPUS; number++)); do ln -sfn /dev/null "$DIR/dev/gpu$number"; done
    echo "NodeName=node[1-2] Name=gpu Type=fake File=$DIR/dev/gpu[0-$((GPUS - 1))]" >"$DIR/gres.conf"
    cat >"$DIR/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$PORT
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
# A job that goes back into the queue waits for its credentials to expire: two minutes, if left to SLURM.
AuthInfo=socket=$DIR/munge/socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$DIR/controller
SlurmdSpoolDir=$DIR/%n
SlurmctldPidFile=$DIR/pid/slurmctld.file
SlurmdPidFile=$DIR/pid/%n.file
MailProg=/bin/true
MpiDefault=none
# Without cgroups: processes are followed through /proc, and a job that outgrows its memory is ended.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MinJobAge=86400
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2
KillWait=5
ReturnToService=2
# As on clusters that requeue nothing by themselves; jobs of the partition `urgent` take the nodes of others.
JobRequeue=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=node[1-2] NodeHostname=$HOST NodeAddr=127.0.0.1 Port=[$((PORT + 1))-$((PORT + 2))] CPUs=$CPUS RealMemory=$MEMORY Gres=gpu:fake:$GPUS State=UNKNOWN
PartitionName=main Nodes=node[1-2] Default=YES MaxTime=INFINITE DefMemPerCPU=1000 PriorityTier=1 State=UP
PartitionName=short Nodes=node[1-2] MaxTime=1 DefMemPerCPU=1000 PriorityTier=1 State=UP
PartitionName=closed Nodes=node[1-2] AllowAccounts=others MaxTime=INFINITE DefMemPerCPU=1000 PriorityTier=1 State=UP
PartitionName=loose Nodes=node[1-2] PreemptMode=CANCEL MaxTime=INFINITE DefMemPerCPU=1000 PriorityTier=1 State=UP
PartitionName=urgent Nodes=node[1-2] MaxTime=INFINITE DefMemPerCPU=1000 PriorityTier=10 State=UP
CONF
    # Wrappers: the executor removes SLURM_* variables, SLURM_CONF among them, before it calls srun in a job.
    local name path
    for name in sbatch srun squeue sinfo scancel scontrol; do
        path=$(PATH=/usr/bin:/bin command -v "$name")
        printf '#!/bin/sh\nSLURM_CONF=%q exec %s "$@"\n' "$DIR/slurm.conf" "$path" >"$DIR/bin/$name"
    done
    # Debian's sacct is there but has no database to ask.
    printf '#!/bin/sh\necho "Slurm accounting storage is disabled" >&2\nexit 1\n' >"$DIR/bin/sacct"
    chmod 755 "$DIR"/bin/*
}

launch() { # NAME COMMAND..: start in a session of its own, so that a Ctrl-C at the terminal spares it
    local name=$1
    shift
    setsid "$@" >>"$DIR/log/$name.log" 2>&1 </dev/null &
    echo $! >"$DIR/pid/$name"
}

await() { # WHAT COMMAND..: up to 30 s
    local what=$1
    shift
    for _ in {1..150}; do "$@" >/dev/null 2>&1 && return; sleep 0.2; done
    echo "cluster.sh: no $what after 30 s" >&2
    tail -n 20 "$DIR"/log/*.log >&2
    stop
    exit 1
}

idle() { [[ $("$DIR/bin/sinfo" --noheader --format "%t %D") == "idle 2" ]]; }
no_jobs() { [[ -z $("$DIR/bin/squeue" --noheader) ]]; }

start() {
    [[ ! -e $DIR/pid ]] || { echo "cluster.sh: $DIR is in use" >&2; exit 1; }
    configure
    launch munged munged --foreground --origin=127.0.0.1 --key-file="$DIR/munge/key" --socket="$DIR/munge/socket" \
        --pid-file="$DIR/munge/pid" --seed-file="$DIR/munge/seed"
    await munged test -S "$DIR/munge/socket"
    launch slurmctld slurmctld -D -f "$DIR/slurm.conf"
    await slurmctld "$DIR/bin/scontrol" ping
    local name
    for name in "${NODES[@]}"; do launch "$name" slurmd -D -N "$name" -f "$DIR/slurm.conf"; done
    await "idle nodes" idle
}

stop() {
    "$DIR/bin/scancel" --user "$(id -un)" --quiet || true
    for _ in {1..75}; do no_jobs && break; sleep 0.2; done
    local name pid
    for name in "${NODES[@]}" slurmctld munged; do
        pid=$(cat "$DIR/pid/$name" 2>/dev/null) || continue
        # The number may belong to another process by now.
        [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "${name/node[12]/slurmd}" ]] || continue
        kill "$pid"
        for _ in {1..50}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
    done
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    path) echo "$DIR/bin" ;;
    *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
esac
