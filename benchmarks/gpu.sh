#!/usr/bin/env bash
# What wants a graphics card, prepared to be done in one go, in ten minutes:
#
#     benchmarks/gpu.sh OUT [DEVICE]
#
# 1  the tests that need one                                    OUT/tests.log, or failed.log
# 2  speed there (python -m benchmarks): base, roll-outs,       OUT/benchmarks.md, .json
#    discovery, patching sweep, and what the paper's base costs
# 3  the base of `grid` from ten times the trajectories         OUT/run
#
# DEVICE is cuda if not given. Each part has its seconds and is cut then, and is tried whatever
# became of those before; exits with 1 if one failed or was cut. The same command with the same OUT
# goes on with the base where it was cut, and does not repeat what is there. SMALL=1 tries all parts
# on tiny sizes, on a processor too. PYTHON is what runs it, python if not set.
set -uo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
if (($# < 1 || $# > 2)); then
    echo "usage: benchmarks/gpu.sh OUT [DEVICE]" >&2
    exit 2
fi
mkdir -p "$1" && out="$(cd "$1" && pwd)" || exit 2
device="${2:-cuda}"
cd "$here"
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
python="${PYTHON:-python}"

tests=(-m "gpu and not slow")
speed=(--only base rollout.b1 discovery.step sweep paper)
# As many steps as the preset has, each of ten times the rows, computed at once.
base=(--preset grid --set pretrain.batch=640 pretrain.chunk=640)
if [[ ${SMALL:-} ]]; then
    tests=(tests/models/test_device.py)
    speed=(--only sweep --small --rounds 1)
    base=(--preset smoke --set pretrain.steps=3)
fi

failed=0
# part SECONDS NAME COMMAND..: runs it, interrupted after so long (as by Ctrl-C, so that it saves).
part() {
    local began=$SECONDS status
    echo "== $2"
    timeout --signal=INT --kill-after=20 "$1" "${@:3}"
    status=$?
    ((status == 0)) || failed=1
    echo "== $2: exit status $status, $((SECONDS - began)) s"
}

"$python" -c "from irl_lens.models.device import find_device; find_device('$device')" || exit 2
if [[ ! -e $out/tests.log ]]; then
    part 140 tests "$python" -m pytest -q -p no:cacheprovider "${tests[@]}" &>"$out/failed.log"
    cat "$out/failed.log"
    ((failed)) || mv "$out/failed.log" "$out/tests.log"
fi
if [[ ! -e $out/benchmarks.json ]]; then
    part 90 speed "$python" -m benchmarks "${speed[@]}" --device "$device" --out "$out"
fi
part 340 base "$python" -m irl_lens train base "${base[@]}" --out "$out/run" --device "$device"
exit $failed
