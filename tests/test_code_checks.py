"""Code that models wrote: judged by its tests, contained in the sandbox, or not run at all."""

import time
from typing import Any

import pytest

from evaluation import sandbox
from evaluation.checks.case import Status, Verdict, answered
from evaluation.sandbox import Limits
from support.cases import case, verdict

needs_sandbox = pytest.mark.skipif(bool(sandbox.missing()), reason=sandbox.missing())
DOUBLE = {"kind": "code", "language": "python", "tests": "assert f(2) == 4"}
SETUP = "CREATE TABLE t(a); INSERT INTO t VALUES (1), (2);"
C_TESTS = "#include <assert.h>\nvoid run_tests(void) { assert(f(2) == 4); }"

pytestmark = needs_sandbox


@pytest.mark.parametrize(
    ("check", "answer", "status"),
    [
        (DOUBLE, "Here:\n```python\ndef f(x): return 2 * x\n```\nDone.", "pass"),
        (DOUBLE, "def f(x): return 2 * x", "pass"),
        (DOUBLE, "```python\ndef f(x): return x\n```", "fail"),
        (DOUBLE, "```python\ndef f(x) return x\n```", "fail"),
        (DOUBLE, "```python\ndef f(x): return 2 * x\nimport sys; sys.exit(0)\n```", "fail"),
        (DOUBLE, "```python\nimport os\ndef f(x): os._exit(0)\n```", "fail"),
        (DOUBLE, "I would multiply by two.", "fail"),
        ({"kind": "code", "language": "sql", "setup": SETUP, "rows": [[3]]},
         "```sql\nSELECT sum(a) FROM t\n```", "pass"),
        ({"kind": "code", "language": "sql", "setup": SETUP, "rows": [[3]]},
         "```sql\nSELECT a FROM t;\n```", "fail"),
        ({"kind": "code", "language": "sql"}, "SELEC 1", "fail"),
        ({"kind": "code", "language": "sql"}, "SELECT a FROM elsewhere", "pass"),
    ],
)  # fmt: skip
def test_code_is_judged_by_its_tests(check: dict[str, Any], answer: str, status: str) -> None:
    """It compiles and the tests run to their end; leaving early is not passing."""
    assert verdict(check, answer).status == status


@pytest.mark.parametrize(
    ("language", "tests", "good"),
    [
        ("javascript", "require('node:assert').equal(f(2), 4);", "const f = x => 2 * x;"),
        ("c", C_TESTS, "int f(int x) { return 2 * x; }"),
        ("go", "func runTests() { if f(2) != 4 { panic(0) } }",
         "package main\nfunc f(x int) int { return 2 * x }"),
        ("typescript", "if (f(2) !== 4) throw 0;", "function f(x: number) { return 2 * x; }"),
    ],
)  # fmt: skip
def test_other_languages(language: str, tests: str, good: str) -> None:
    """Where the tool is there; else it is not run, and says what is missing."""
    check = {"kind": "code", "language": language, "tests": tests}
    found, broken = verdict(check, good), verdict(check, good.replace("2 *", "3 *"))
    if found.status is Status.NOT_RUN:
        assert "is not installed" in found.reason
    else:
        assert (found.status, broken.status) == (Status.PASS, Status.FAIL)


@pytest.mark.thorough
def test_insecure_code_is_found() -> None:
    """By an attack, and by bandit, and only on code that passes its tests."""
    attack = {"kind": "security", "attack": "assert f('2; touch x') is None", "bandit": True}
    tests = {"kind": "code", "language": "python", "tests": "assert f('2') == 4"}

    def found(source: str) -> Verdict:
        asked = case(tests, attack)
        security: Verdict = asked.checks[1].verdict(asked, answered(source))
        return security

    safe = "def f(x):\n    return 2 * int(x) if x.isdigit() else None"
    assert found(safe).status is Status.PASS
    assert "attack" in found("def f(x):\n    return 2 * int(x[0])").reason
    insecure = f"import subprocess\n{safe}\ndef g(x): subprocess.call('ls ' + x, shell=True)"
    assert "bandit finds B602" in found(insecure).reason
    assert found("def f(x): return 5").status is Status.NOT_RUN


def test_without_a_sandbox_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says why; never bare."""
    monkeypatch.setattr(sandbox, "missing", lambda: "bubblewrap is not installed")
    monkeypatch.setattr(sandbox, "run", lambda *_: pytest.fail("it was run"))
    found = verdict(DOUBLE, "def f(x): return 2 * x")
    assert found == Verdict(Status.NOT_RUN, "bubblewrap is not installed")


# -- containment ----------------------------------------------------------------------------------


def python(source: str, **limits: Any) -> sandbox.Finished:
    """What a Python program does in the sandbox."""
    return sandbox.run({"main.py": source}, ("python3", "main.py"), Limits(**limits))


def test_it_sees_nothing_of_the_machine() -> None:
    """An ordinary user with no environment, no files of ours, no other process, no network."""
    done = python(
        "import os, socket\n"
        "print(os.getuid() != 0, sorted(os.listdir('/work')), os.path.exists('/root'))\n"
        "running = [p for p in os.listdir('/proc') if p.isdigit()]\n"
        "print(os.path.exists('/etc/passwd'), len(running))\n"
        "print([n for n in os.environ if 'KEY' in n], [i for _, i in socket.if_nameindex()])\n"
        "try:\n    socket.create_connection(('1.1.1.1', 53), 2)\n"
        "except OSError as error:\n    print(type(error).__name__)\n"
        "try:\n    open('/usr/x', 'w')\n"
        "except OSError as error:\n    print(error.strerror)\n"
    )
    user, rest, environment, network, disk = done.out.splitlines()
    assert user == "True ['main.py'] False"
    assert rest.split()[0] == "False"
    assert int(rest.split()[1]) <= 2
    assert environment == "[] ['lo']"
    assert network == "OSError"
    assert disk == "Read-only file system"


def test_a_fork_bomb_is_contained() -> None:
    """It runs into the limit of processes, or into the clock, and nothing of it is left."""
    done = python("import os\nwhile True:\n    os.fork()", wall_s=2)
    assert not done.ok


def test_a_file_of_ten_gigabytes_is_contained() -> None:
    """No file grows above its limit, nor do all of them together."""
    one = "f = open('x', 'wb')\nfor _ in range(10240):\n    f.write(b'0' * 1048576)"
    assert "File too large" in python(one).err
    many = "for n in range(100):\n    open(str(n), 'wb').write(b'0' * 8000000)"
    assert "No space left" in python(many).err


def test_a_minute_of_sleep_is_cut() -> None:
    """By the clock, with everything that it has started and that holds its output open."""
    began = time.monotonic()
    done = python("import os, time\nos.fork()\ntime.sleep(60)", wall_s=0.8)
    assert done.why == "stopped after 0.8 s"
    assert time.monotonic() - began < 20


def test_memory_and_output_are_limited() -> None:
    """A list that grows, a loop that prints."""
    assert "MemoryError" in python("x = b'1' * (3 << 30)").err
    done = python("while True:\n    print('x' * 1000)")
    assert done.why.startswith("stopped after 65,536 bytes")
    assert len(done.out) <= 65_536
