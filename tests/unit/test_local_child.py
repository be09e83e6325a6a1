"""Server processes end when asked, and only ours are ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from stream.local.child import Child, end_leftover, log_tail

SLEEP = "import time; print('up', flush=True); time.sleep(600)"


def test_a_child_logs_and_stops(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("from an earlier run\n")
    child = Child([sys.executable, "-c", "print('one'); print('two')"], tmp_path, log)
    assert child.wait()
    assert child.said() == "one | two"
    child = Child([sys.executable, "-c", SLEEP], tmp_path, log)
    assert not child.exited()
    child.stop()
    assert child.exited()


def test_a_tail_leaves_stack_frames_out(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("fatal: no space\n\tat Kafka.main\n\n  more frames\n")
    assert log_tail(log) == "fatal: no space"
    assert log_tail(tmp_path / "none") == ""


def test_a_process_of_somebody_else_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP, "marker-of-ours"], stdout=subprocess.PIPE) as process:
        end_leftover(process.pid, "another-marker")
        assert process.poll() is None
        end_leftover(process.pid, "marker-of-ours")
        assert process.wait(10) != 0
        end_leftover(process.pid, "marker-of-ours")
    end_leftover(os.getpid(), "no-such-marker")
