"""What docs/testing-your-client.md shows is run as it stands there."""

import os
import pathlib
import re
import subprocess
import sys

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "testing-your-client.md"


def test_the_page_that_shows_how_clients_are_tested_holds(tmp_path):
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert [name for name, _ in blocks] == ["conftest.py", "test_client.py"]
    for name, source in blocks:
        (tmp_path / name).write_text(source)
    path = f"{pathlib.Path(os.environ['HEARTH_BIN']).parent}:{os.environ['PATH']}"
    suite = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no", str(tmp_path)],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    print(suite.stdout)
    assert suite.returncode == 0, suite.stdout + suite.stderr
    # The one with parameters stands for three.
    assert f"{blocks[1][1].count('def test_') + 2} passed" in suite.stdout
