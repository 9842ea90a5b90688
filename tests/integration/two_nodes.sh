#!/usr/bin/env bash
# two_nodes.sh up: make two nodes of the one that tools/slurm/up has started, both on this machine,
# each with two stand-ins for GPUs that are divided into shards. two_nodes.sh down: end what it started.
# Root only. The next tools/slurm/up writes its own configuration again.
set -euo pipefail
S=${SLURM_SANDBOX:-${TMPDIR:-/tmp}/slurm-sandbox}
CONFIGURATION=/etc/slurm/slurm.conf
NODES=(one two)

end() { # name of a daemon
	local file="$S/run/$1.own.pid" pid
	[[ -s $file ]] || return 0
	pid=$(cat "$file")
	kill "$pid" 2>/dev/null || true
	while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
	rm -f "$file"
}

start() { # name, command ...
	local name=$1
	shift
	setsid "$@" >"$S/log/$name.out" 2>&1 </dev/null &
	echo $! >"$S/run/$name.own.pid"
}

down() {
	for node in "${NODES[@]}"; do end "slurmd.$node"; done
}

up() {
	local machine cpus gres="gpu:2,shard:8"
	machine=$(hostname -s)
	cpus=$(nproc)
	down
	end slurmd
	end slurmctld
	# Two daemons of one machine need ports, folders and files of their own: %n is the node.
	sed -i -e "/^NodeName=/d; /^PartitionName=/d" \
		-e "s/^GresTypes=.*/GresTypes=gpu,shard/" \
		-e "s/^AccountingStorageTRES=.*/&,gres\/shard/" \
		-e "s#^SlurmdSpoolDir=.*#SlurmdSpoolDir=$S/spool/%n#" \
		-e "s#^SlurmdPidFile=.*#SlurmdPidFile=$S/run/slurmd.%n.pid#" \
		-e "s#^SlurmdLogFile=.*#SlurmdLogFile=$S/log/slurmd.%n.log#" "$CONFIGURATION"
	: >/etc/slurm/gres.conf
	local port=16821
	for node in "${NODES[@]}"; do
		mkdir -p "$S/spool/$node"
		cat >>"$CONFIGURATION" <<-EOF
			NodeName=$node NodeHostname=$machine NodeAddr=127.0.0.1 Port=$port CPUs=$cpus Sockets=1 CoresPerSocket=$cpus ThreadsPerCore=1 RealMemory=8000 Gres=$gres State=UNKNOWN
		EOF
		echo "NodeName=$node Name=gpu File=$S/dev/nvidia[0-1]" >>/etc/slurm/gres.conf
		echo "NodeName=$node Name=shard Count=8" >>/etc/slurm/gres.conf
		port=$((port + 1))
	done
	local names
	names=$(IFS=,; echo "${NODES[*]}")
	echo "PartitionName=main Nodes=$names Default=YES MaxTime=INFINITE State=UP DefMemPerCPU=512 OverSubscribe=NO" >>"$CONFIGURATION"
	# -c: jobs of the one node that was are forgotten.
	start slurmctld /usr/sbin/slurmctld -D -i -c
	for node in "${NODES[@]}"; do start "slurmd.$node" /usr/sbin/slurmd -D -N "$node"; done
	for _ in {1..150}; do
		[[ $(sinfo -h -t idle -o %D 2>/dev/null) == "${#NODES[@]}" ]] && break
		sleep 0.2
	done
	sinfo -o '%P %N %T %c %m %G'
	[[ $(sinfo -h -t idle -o %D) == "${#NODES[@]}" ]]
}

case ${1:-} in
up | down) "$1" ;;
*) echo "usage: $0 up|down" >&2; exit 2 ;;
esac
