"""How a serving process sets up its interpreter: tried in processes of their own, for it changes the whole process."""

from __future__ import annotations

import subprocess
import sys


def said_by(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_is_set_aside_is_not_walked_and_still_freed_when_nobody_needs_it() -> None:
    program = """
import gc, weakref
from gateway import interpreter
interpreter.begin()
class Table: pass
tables = [Table() for _ in range(1000)]
before = len(gc.get_objects())
interpreter.set_aside()
first = weakref.ref(tables[0])
walked = len(gc.get_objects())
del tables[0]
print(before > 1000 > walked, first() is None)
"""
    assert said_by(program) == "True True"


def test_setting_aside_collects_first() -> None:
    program = """
import gc, weakref
from gateway import interpreter
class Knot: pass
knot = Knot()
knot.self = knot
seen = weakref.ref(knot)
del knot
interpreter.set_aside()
print(seen() is None)
"""
    assert said_by(program) == "True"


def test_a_busy_thread_lets_others_in_sooner_than_usual() -> None:
    program = """
import sys
from gateway import interpreter
usual = sys.getswitchinterval()
interpreter.begin()
print(sys.getswitchinterval() < usual)
"""
    assert said_by(program) == "True"
