"""A bot that installs the base package alone can import, configure, record and shut down."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BOT = """
import otel_obs as obs
obs.configure(service_name="bare", endpoint="http://127.0.0.1:1")
with obs.trace("cycle", intent="trade"), obs.decision("enter", confidence=0.5) as decision:
    decision.gate("spread_guard", observed=16.7, at_most=5.0)
obs.order(id="o-1", status="submitted", price="43210.5")
report = obs.shutdown(within=1)
print(decision.outcome, report.produced, report.delivered, obs.problems())
"""


def test_the_base_install_records_and_the_command_line_names_its_extra(tmp_path):
    venv = tmp_path / "venv"
    python = venv / "bin" / "python"
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    subprocess.run([*install, "--require-hashes", "-r", str(ROOT / "requirements" / "base.txt")], check=True)
    subprocess.run([*install, "--no-deps", str(ROOT)], check=True)

    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    bot = subprocess.run([str(python), "-c", BOT], env=clean, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert bot.stdout.split("\n")[0] == "vetoed 3 0 {}"
    assert "3 of 3 records were not delivered" in bot.stderr

    command = subprocess.run(
        [str(venv / "bin" / "otel-obs"), "up"], env=clean, capture_output=True, text=True, check=False
    )
    assert command.returncode == 1
    assert "pip install 'otel-obs[local]'" in command.stderr
