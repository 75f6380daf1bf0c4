"""Lets the FOCUS validator run on a Python before 3.12.

Version 2.2.1 asks for 3.12 because of one f-string with a backslash in it. Where the interpreter is older,
that expression is written as it had to be then; anything else in its place is an error, so that a changed
validator is noticed.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

NEW = r"""f"'{k.replace('\"', '\"\"')}'" for k in ignore_keys"""
OLD = """"'" + k.replace('"', '""') + "'" for k in ignore_keys"""


def main() -> None:
    if sys.version_info >= (3, 12):
        return
    package = Path(find_spec("focus_validator").origin).parent
    file = package / "config_objects" / "focus_to_duckdb_converter.py"
    text = file.read_text(encoding="utf-8")
    if text.count(NEW) != 1:
        sys.exit(f"{file} is not the one of version 2.2.1: it needs Python 3.12")
    file.write_text(text.replace(NEW, OLD), encoding="utf-8")
    compile(file.read_text(encoding="utf-8"), str(file), "exec")


main()
