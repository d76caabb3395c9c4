"""The wheel and the sdist hold the same, and run without the checkout."""

import os
import subprocess
import sys
import zipfile

import pytest

from .conftest import REPOSITORY


def build(*arguments):
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", *map(str, arguments)], check=True, capture_output=True
    )


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A wheel of the checkout, and one of the sdist's content."""
    folder = tmp_path_factory.mktemp("dist")
    source = folder / "source"
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(source)], check=True)  # a build leaves files behind
    build("--wheel", "--outdir", folder / "plain", source)
    build("--outdir", folder / "sdist", source)  # the sdist, and a wheel of what is in it
    return [next((folder / name).glob("*.whl")) for name in ("plain", "sdist")]


def test_both_hold_the_same(wheels):
    plain, of_sdist = (set(zipfile.ZipFile(wheel).namelist()) for wheel in wheels)
    assert plain == of_sdist
    assert {"hrtoolkit/py.typed", "hrtoolkit/configs/model_zoo.json"} <= plain
    packages = {name.rpartition("/")[0] for name in plain}
    tracked = subprocess.run(["git", "ls-files", "hrtoolkit", "tasks"], cwd=REPOSITORY, capture_output=True, text=True)
    folders = {name.rpartition("/")[0] for name in tracked.stdout.split() if name.endswith(".py")}
    assert {f"hrtoolkit/{name}" if name.startswith("tasks") else name for name in folders} <= packages


def test_a_wheel_runs_in_an_empty_folder(wheels, tmp_path):
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheels[1]), str(tmp_path / "site")], check=True)
    (tmp_path / "empty").mkdir()
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site"), "HF_HUB_OFFLINE": "1"}

    def run(*arguments):
        command = [sys.executable, "-W", "ignore", *arguments]
        done = subprocess.run(command, cwd=tmp_path / "empty", env=environment, capture_output=True, text=True)
        assert not done.returncode, done.stderr
        return done.stdout

    place = run("-c", "import hrtoolkit; print(hrtoolkit.__file__); hrtoolkit.build_model('pose/hrnet_toy')")
    assert place.startswith(str(tmp_path))
    assert "pose/hrnet_w32_coco" in run("-m", "hrtoolkit", "configs", "pose")
    assert "hrnet_toy" in run("-m", "hrtoolkit", "check", "pose/hrnet_toy", "--no-files")
