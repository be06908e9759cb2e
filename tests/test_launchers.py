"""Every command of the READMEs that starts several processes, run as it stands there, on gloo instead of GPUs."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_accumulation import free_port

from train.models import checkpoint

ROOT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.en.md", "train/README.md")
LAUNCHERS = {
    "accelerate launch": [sys.executable, "-m", "accelerate.commands.launch"],
    "torchrun": [sys.executable, "-m", "torch.distributed.run"],
}
_COMMAND = re.compile(r"(?:accelerate launch|torchrun) (?:\\\n|[^`\n#])*train/train\.py(?:\\\n|[^`\n#])*")


def commands() -> list[str]:
    """Each once, on one line, with two processes."""
    said = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in READMES)
    found = []
    for text in _COMMAND.findall(said):
        text = " ".join(text.replace("\\\n", " ").split())
        text = re.sub(r"(--num_processes|--nproc_per_node) \d+", r"\1 2", text)
        found.append(text if " 2 " in text else text.replace(" train/", " --num_processes 2 train/", 1))
    return list(dict.fromkeys(found))


def started(command: str, workspace: Path, machine: int = 0, *more: str) -> subprocess.Popen[str]:
    """The command on this machine, over a small data set."""
    name = next(name for name in LAUNCHERS if command.startswith(name))
    text = re.sub(r"--machine_rank \d", f"--machine_rank {machine}", command.removeprefix(name))
    text = text.replace("HOST", "127.0.0.1").replace(
        "train/config/tiny.json", shlex.quote(str(workspace / "tiny.json"))
    )
    before, after = text.split("train/train.py")
    line = [*LAUNCHERS[name], *shlex.split(before), str(ROOT / "train/train.py"), *shlex.split(after)]
    if "--config" not in line:
        line += ["--config", str(workspace / "tiny.json")]
    line += ["--workspace", str(workspace), "--set", "device=cpu", "vision_pretrain_steps=0", "max_steps=2", *more]
    sites = workspace.parent / "sites"
    sites.mkdir(exist_ok=True)
    # Accelerate shards over GPUs alone.
    plant = "import os\nif 'RANK' in os.environ:\n    from test_sharding import count_as_gpus\n    count_as_gpus()\n"
    (sites / "sitecustomize.py").write_text(plant if "--use_fsdp" in command else "")
    paths = os.pathsep.join(map(str, (sites, ROOT, ROOT / "tests")))
    environment = {**os.environ, "PYTHONPATH": paths, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(line, env=environment, cwd=workspace, **pipes)


def test_the_readmes_name_a_way_for_each_case() -> None:
    told = commands()
    for words in ("--multi_gpu", "--num_machines 2", "--use_fsdp", "torchrun", "--cpu"):
        assert any(words in command for command in told), words


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_a_command_starts_what_it_says(command: str, workspace: Path) -> None:
    if "accelerate" in command and "--cpu" not in command:
        command = command.replace("accelerate launch", f"accelerate launch --main_process_port {free_port()}")
    machines = 2 if "--num_machines" in command else 1
    launchers = [started(command, workspace, machine) for machine in range(machines)]
    told = [launcher.communicate(timeout=600)[0] for launcher in launchers]
    assert [launcher.returncode for launcher in launchers] == [0] * machines, "\n".join(told)
    progress = checkpoint.load(workspace / "train/checkpoints/checkpoint_step_2.pt")["progress"]
    assert progress["processes"] == (1 if "--cpu" in command else 2)
    assert ("sharded" in told[0]) == ("--use_fsdp" in command)


@pytest.mark.slow
def test_a_launcher_that_is_told_to_stop_saves(workspace: Path) -> None:
    """SIGTERM to torchrun reaches its processes; its own exit code is 1, as the README says."""
    command = next(command for command in commands() if command.startswith("torchrun"))
    launcher = started(command, workspace, 0, "max_steps=5000", "eval_steps=5000", "save_steps=5000")
    told = []
    for line in launcher.stdout:
        told.append(line)
        if "update 1/" in line:
            launcher.send_signal(signal.SIGTERM)
            break
    told += launcher.communicate(timeout=600)[0].splitlines(keepends=True)
    assert launcher.returncode == 1, "".join(told)
    assert any("Stopped by a signal after update" in line for line in told), "".join(told)
    newest = checkpoint.step_checkpoints(workspace / "train/checkpoints")[0]
    assert checkpoint.load(newest)["progress"]["step"] > 0
