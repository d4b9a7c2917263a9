"""How code of each language is compiled and tested: files and a command for the sandbox."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

FENCE = re.compile(r"^[ \t]*```([\w+#.-]*)[^\n]*\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)
ALIASES = {
    "python": ("python", "py", "python3"),
    "javascript": ("javascript", "js", "node", "mjs"),
    "typescript": ("typescript", "ts"),
    "c": ("c",),
    "go": ("go", "golang"),
    "sql": ("sql", "sqlite"),
}


def source(text: str, language: str) -> str:
    """The code in an answer: its blocks of that language, else its only blocks, else all of it."""
    blocks = FENCE.findall(text)
    named = [code for name, code in blocks if name.lower() in ALIASES[language]]
    if named:
        return "\n".join(named)
    plain = [code for name, code in blocks if not name]
    return "\n".join(plain) if plain else "" if blocks else text


@dataclass(frozen=True, slots=True)
class Program:
    """What to run in the sandbox."""

    files: Mapping[str, str]
    argv: tuple[str, ...]


Tested = Callable[[str, str, str], Program]  # code, tests or setup, the word to print


@dataclass(frozen=True, slots=True)
class Language:
    """One language; `tools` must be in the sandbox."""

    tools: tuple[str, ...]
    compiled: Callable[[str], Program]
    tested: Tested
    queried: Tested


def _none(code: str, more: str, word: str) -> Program:
    raise ValueError("this language has no such test")


def _shell(files: Mapping[str, str], *commands: str) -> Program:
    return Program(files, ("sh", "-c", " && ".join(commands)))


PYTHON_COMPILE = "compile(open('main.py', encoding='utf-8').read(), 'main.py', 'exec')"
# Reads statements one by one, as `executescript` gives no rows; prints those of the last query.
SQL_RUN = """
import json, sqlite3, sys
setup, code, word = json.load(open("query.json"))
database = sqlite3.connect(":memory:")
database.executescript(setup)
rows, statement = [], ""
for line in (code if code.rstrip().endswith(";") else code + ";").splitlines(True):
    statement += line
    if sqlite3.complete_statement(statement):
        cursor = database.execute(statement)
        rows = [list(row) for row in cursor.fetchall()] if cursor.description else rows
        statement = ""
print(word + json.dumps(rows))
"""
SQL_COMPILE = """
import json, sqlite3
code = json.load(open("query.json"))[1]
statement, whole = "", False
for line in (code if code.rstrip().endswith(";") else code + ";").splitlines(True):
    statement += line
    if sqlite3.complete_statement(statement):
        try:
            sqlite3.connect(":memory:").execute("EXPLAIN " + statement)
        except sqlite3.OperationalError as error:
            if "syntax error" in str(error) or "unrecognized token" in str(error):
                raise
        statement, whole = "", True
assert whole and not statement.strip()
"""


def _query(code: str, setup: str, word: str, script: str) -> Program:
    files = {"run.py": script, "query.json": json.dumps([setup, code, word])}
    return Program(files, ("python3", "run.py"))


LANGUAGES: Mapping[str, Language] = {
    "python": Language(
        ("python3",),
        lambda code: Program({"main.py": code}, ("python3", "-c", PYTHON_COMPILE)),
        lambda code, tests, word: Program(
            {"main.py": f"{code}\n\n{tests}\n\nprint({word!r})\n"}, ("python3", "main.py")
        ),
        _none,
    ),
    "javascript": Language(
        ("node",),
        lambda code: Program({"main.js": code}, ("node", "--check", "main.js")),
        lambda code, tests, word: Program(
            {"main.js": f"{code}\n\n{tests}\n\nconsole.log({word!r});\n"}, ("node", "main.js")
        ),
        _none,
    ),
    "typescript": Language(
        ("tsc", "node"),
        lambda code: Program({"main.ts": code}, ("tsc", "--noEmit", "--strict", "main.ts")),
        lambda code, tests, word: _shell(
            {"main.ts": f"{code}\n\n{tests}\n\nconsole.log({word!r});\n"},
            "tsc --outDir out main.ts",
            "node out/main.js",
        ),
        _none,
    ),
    "c": Language(
        ("gcc",),
        lambda code: Program({"main.c": code}, ("gcc", "-fsyntax-only", "main.c")),
        lambda code, tests, word: _shell(
            {"main.c": f'{code}\n\n{tests}\n\n#include <stdio.h>\nint main(void) {{ run_tests(); '
             f'puts("{word}"); return 0; }}\n'},
            "gcc -o main main.c -lm",
            "./main",
        ),
        _none,
    ),
    "go": Language(
        ("go",),
        lambda code: _shell({"main.go": code}, "gofmt -e main.go >/dev/null"),
        lambda code, tests, word: _shell(
            {"main.go": f'{code}\n\n{tests}\n\nfunc main() {{ runTests(); println("{word}") }}\n'},
            "GOCACHE=/tmp GO111MODULE=off go run main.go 2>&1",
        ),
        _none,
    ),
    "sql": Language(
        ("python3",),
        lambda code: _query(code, "", "", SQL_COMPILE),
        _none,
        lambda code, setup, word: _query(code, setup, word, SQL_RUN),
    ),
}  # fmt: skip
