#!/usr/bin/env bash
# Runs many schedules of the seeded simulation of the protocol (tests/Simulation): after each step every invariant must hold. A failing schedule prints its seed.
# usage: simulate.sh [--schedules N=1000000] [--seed S=1]     one schedule with its story: SIM_SEED=S dotnet test -c Release tests/Simulation --filter No_schedule
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

schedules=1000000 seed=1
while [ $# -gt 0 ]; do
  case $1 in
    --schedules) schedules=$2; shift 2 ;;
    --seed) seed=$2; shift 2 ;;
    *) sed -n '2,3p' "$0"; exit 2 ;;
  esac
done
require_dotnet
cd "$ROOT"
dotnet build tests/Simulation/Simulation.csproj -c Release -nologo -v q
SIM_SEED=$seed SIM_SCHEDULES=$schedules dotnet test tests/Simulation/Simulation.csproj -c Release --no-build -nologo \
  --filter 'FullyQualifiedName~No_schedule' --logger 'console;verbosity=detailed'
