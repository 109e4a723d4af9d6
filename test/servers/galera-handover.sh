#!/bin/sh
# How a node of the tests' Galera cluster takes over from another (wsrep_sst_method=handover): of its data it has all but what
# the others' logs still hold, so this only tells it that they begin to send that. A copy of all data is refused.
bypass=
while [ $# -gt 0 ]; do
  case $1 in
    --role) role=$2; shift ;;
    --address) address=$2; shift ;;
    --gtid) gtid=$2; shift ;;
    --bypass) bypass=yes ;;
  esac
  shift
done
place=$(dirname "$0")/$address
if [ "$role" = donor ]; then
  [ "$bypass" ] || exit 1
  echo "$gtid" >"$place.part" && mv "$place.part" "$place" && echo "done $gtid"
else
  rm -f "$place"
  echo "ready $address"
  while [ ! -e "$place" ]; do sleep 0.1; done
  cat "$place"
fi
