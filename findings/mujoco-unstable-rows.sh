#!/usr/bin/env bash
# mujoco 4.0.0: a row of a Batch that becomes unstable in step() is put back within the call to the
# model's default pose (not to the keyframe it was reset to), its ctrl to zero and its time to start
# anew. This is MuJoCo's documented autoreset; the surprise is how little is left to notice it by:
# - status stays 0, nothing is raised, and the state is finite all along, so that a check for nan
#   and infinity, as in many environments, never finds anything;
# - the row's count of warnings stays at 1 however often it happens, as to be put back clears it, so
#   that a difference of counts finds the first time only; and it is logged once;
# - where step() makes several substeps, the rest of them run with a ctrl of zero instead of what was
#   written, and end in a plausible state.
# rollout(), in contrast, stops such a row. Time that is less than the steps made tells every time.
#
# Seen on Python 3.11, numpy 2.4.6, two rows whose servos are of gain 20 and 200, the latter too
# stiff for the time step, with controls in range:
#   100 steps of 1: put back 0 and 12 times; warnings counted 0 and 1, logged 1; status 0 and 0
#   not finite: 0; first put back to qpos 0.0 and ctrl 0.0 from a keyframe of 0.5
#   1 step of 50 at ctrl 0.5: time 1.00 and 0.78, ctrl 0.5 and 0.0, qpos 0.50 and 0.00
#
# Exits with 1 if it is no longer so.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mujoco==4.0.0 numpy==2.4.6
cd "$folder"

"$folder/venv/bin/python" - <<'PYTHON' 2>"$folder/errors" || { cat "$folder/errors"; exit 1; }
import sys
from pathlib import Path

import mujoco
import numpy as np
from mujoco.batch import Batch

ARM = """
<mujoco>
  <option timestep="0.02"/>
  <worldbody>
    <body>
      <joint name="hinge" axis="0 1 0"/>
      <geom type="capsule" fromto="0 0 0 0 0 -0.5" size="0.03" mass="0.1"/>
    </body>
  </worldbody>
  <actuator><position joint="hinge" kp="20" ctrlrange="-1 1"/></actuator>
  <keyframe><key qpos="0.5"/></keyframe>
</mujoco>
"""


def start() -> Batch:
    batch = Batch(mujoco.MjModel.from_xml_string(ARM), 2, 1)
    gain, bias = batch.expand("actuator_gainprm"), batch.expand("actuator_biasprm")
    gain[1, 0, 0], bias[1, 0, 1] = 200, -200
    batch.reset(keyframe=0)
    return batch


def row(values: np.ndarray, digits: int = 1) -> str:
    return " and ".join(f"{float(value):.{digits}f}" for value in values.reshape(2))


batch, back, broken, first = start(), np.zeros(2, int), 0, None
for _ in range(100):
    time = batch.time.copy()
    batch.ctrl[:] = 0.5
    batch.step()
    earlier = batch.time < time
    back += earlier
    broken += int((~np.isfinite(batch.state)).sum())
    if first is None and earlier[1]:
        first = float(batch.qpos[1, 0]), float(batch.ctrl[1, 0])
counted = batch.warning[..., 1].sum(1)
logged = Path("MUJOCO_LOG.TXT").read_text().count("WARNING")
print(
    f"100 steps of 1: put back {back[0]} and {back[1]} times; warnings counted {counted[0]} and"
    f" {counted[1]}, logged {logged}; status {batch.status[0]} and {batch.status[1]}"
)
print(
    f"not finite: {broken}; first put back to qpos {first[0]} and ctrl {first[1]} from a keyframe of 0.5"
)

long = start()
long.ctrl[:] = 0.5
long.step(nstep=50)
print(
    f"1 step of 50 at ctrl 0.5: time {row(long.time, 2)}, ctrl {row(long.ctrl)},"
    f" qpos {row(long.qpos, 2)}"
)
so = back[0] == 0 and back[1] > 3 and counted.tolist() == [0, 1] and not batch.status.any()
so = so and broken == 0 and logged == 1 and first == (0.0, 0.0)
so = so and long.time[1] < 0.99 < long.time[0] and long.ctrl.reshape(2).tolist() == [0.5, 0.0]
sys.exit(not so)
PYTHON
