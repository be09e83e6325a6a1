"""The rule that a skipped test fails CI, tried on small suites run by a pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"

SUITES = {
    "test_marked.py": "import pytest\n\n@pytest.mark.skip(reason='no broker')\ndef test_marked(): pass\n",
    "test_inside.py": "import pytest\n\ndef test_inside():\n    pytest.skip('no docker')\n",
    "test_module.py": "import pytest\n\npytest.skip('no redis', allow_module_level=True)\n",
    "test_data.py": "def test_data(shared_data):\n    shared_data('absent/clicks.csv')\n",
    "test_expected.py": "import pytest\n\n@pytest.mark.xfail\ndef test_expected(): assert False\n",
    "test_passes.py": "def test_passes(): pass\n",
}


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """All suites in one pytest, under the project's conftest and with CI set only as given."""
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    for name, suite in SUITES.items():
        (folder / name).write_text(suite)
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    options = ["-p", "no:cacheprovider", "--continue-on-collection-errors", f"--rootdir={folder}"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        env=inherited | environment,
        capture_output=True,
        text=True,
        cwd=folder,
    )


def test_in_ci_only_an_absent_data_set_may_be_skipped(tmp_path):
    done = run(tmp_path, CI="true")
    assert done.returncode == 1
    assert "1 failed, 1 passed, 1 skipped, 1 xfailed, 2 errors" in done.stdout.splitlines()[-1]
    assert all(reason in done.stdout for reason in ("no broker", "no docker", "no redis"))


def test_elsewhere_skips_are_left_alone(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0
    assert "1 passed, 4 skipped, 1 xfailed" in done.stdout.splitlines()[-1]
