"""What is started with `python -m` starts: the trials, and the stand-in by its old name."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TRIALS = sorted(
    ".".join(path.relative_to(ROOT / "tests").with_suffix("").parts)
    for path in (ROOT / "tests" / "trials").rglob("*.py")
    if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
)


def test_every_trial_has_a_sentence() -> None:
    """The packages of trials say what they do, in one line."""
    for folder in (ROOT / "tests" / "trials").iterdir():
        if list(folder.glob("*.py")):
            said = import_module(f"trials.{folder.name}").__doc__ or ""
            assert len(said.partition("\n")[0]) > 30, folder.name


@pytest.mark.parametrize("name", TRIALS)
def test_every_trial_starts(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its modules are found, and `--help` names the command that was typed."""
    if name.startswith("trials.mutation"):
        pytest.importorskip("cosmic_ray", reason="cosmic-ray is not installed")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        import_module(name).main()
    assert ended.value.code == 0
    assert f"usage: python -m {name.removesuffix('.__main__')} " in capsys.readouterr().out


def test_the_old_name_of_the_stand_in() -> None:
    """`python -m evaluation.provider` still works, and says what to type instead."""
    done = subprocess.run(
        [sys.executable, "-m", "evaluation.provider", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--port" in done.stdout
    assert "evaluation.standin" in done.stderr
