#!/usr/bin/env bash
# The command has the threads that its control group's quota allows: processors.sh PATH/onnxrun
# Exit code 77 where no group can be made (v1 or v2; as root, in a hierarchy that may be written).
set -euo pipefail

onnxrun=$1
group=
cleanup() { [ -z "$group" ] || rmdir "$group" 2>/dev/null || true; }
trap cleanup EXIT

# in_group FILE VALUE [FILE VALUE]...: what `onnxrun version` says inside a group with these settings.
in_group() {
  while [ $# -gt 0 ]; do
    echo "$2" >"$group/$1" 2>/dev/null || return 1
    shift 2
  done
  (echo "$BASHPID" >"$group/cgroup.procs" && exec "$onnxrun" version --json)
}

# The group may lie anywhere in what is seen of the hierarchy, two levels deep here.
for root in /sys/fs/cgroup/cpu /sys/fs/cgroup/cpu,cpuacct /sys/fs/cgroup; do
  group=$root/onnxrun-test-$$
  mkdir "$group" 2>/dev/null || { group=; continue; }
  if [ -e "$group/cpu.cfs_quota_us" ]; then
    said=$(in_group cpu.cfs_period_us 100000 cpu.cfs_quota_us 100000) || { cleanup; continue; }
  elif [ -e "$group/cpu.max" ]; then
    said=$(in_group cpu.max "100000 100000") || { cleanup; continue; }
  else
    cleanup
    continue
  fi
  grep -q '"threads": 1\b' <<<"$said" || { echo "in a group with one processor's quota: $said"; exit 1; }
  exit 0
done
group=
echo "no control group can be made here"
exit 77
