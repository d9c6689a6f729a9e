"""Small faults put into modules one at a time, to see whether the tests of each notice.

Run it with `nice ./dev python -m tests.assurance.mutants quota identity.keys --sample 12 --seed 1`; the same seed draws
the same mutants. The tests of each run in a process of its own, which finds it in the module's place: no file is
changed. Hypothesis makes thirty examples, the same each time. What takes too long, by what the tests take without a
fault, is ended and counts as killed; how many those were is said.
"""

import argparse
import ast
import contextlib
import copy
import gc
import importlib
import importlib.machinery
import importlib.util
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, MappingProxyType, ModuleType
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings

ROOT: Final = Path(__file__).parents[2]

TESTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "quota.arithmetic": ("quota/test_arithmetic.py",),
        "quota.limits": ("quota/test_limits.py",),
        "quota.windows": ("quota/test_windows.py",),
        "quota.mirror": ("quota/test_mirror.py",),
        "audit.tree": ("audit/test_tree.py", "audit/test_proofs.py"),
        "audit.canonical": ("audit/test_canonical.py",),
        "audit.notes": ("audit/test_notes.py",),
        "audit.proofs": ("audit/test_proofs.py",),
        "audit.entries": ("audit/test_entries.py",),
        "identity.keys": ("identity/test_keys.py",),
        "identity.bearers": ("identity/test_bearers.py",),
        "identity.roles": ("identity/test_roles.py",),
        "identity.attempts": ("identity/test_attempts.py",),
        "identity.sessions": ("identity/test_sessions.py",),
        "identity.passwords": ("identity/test_passwords.py",),
        "policy.engine": ("policy/test_engine.py",),
        "policy.rules": ("policy/test_rules.py", "policy/test_engine.py"),
    }
)
"""The tests of each module, those first that are quick; under `app` and `tests`."""

_PAIRS: Final[tuple[tuple[type[ast.AST], type[ast.AST]], ...]] = (
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.Eq, ast.NotEq),
    (ast.Is, ast.IsNot),
    (ast.In, ast.NotIn),
    (ast.And, ast.Or),
    (ast.Add, ast.Sub),
    (ast.Mult, ast.FloorDiv),
    (ast.LShift, ast.RShift),
)
_OPERATORS: Mapping[type[ast.AST], type[ast.AST]] = MappingProxyType(
    {
        **{one: other for pair in _PAIRS for one, other in (pair, pair[::-1])},
        ast.Div: ast.Mult,
        ast.Mod: ast.Mult,
        ast.BitAnd: ast.BitOr,
    }
)
_NAMES: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
_NOT_RUN: Final = {"annotation", "returns", "decorator_list"}
_MOST_BYTES: Final = 4 << 30
_WALL: Final = 10
"""Seconds on the clock for one of processor time, on a machine that does much beside."""


def _changed(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of a node."""
    match node:
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as number):
            yield from (ast.Constant(number + 1), ast.Constant(number - 1))
        case ast.Name(id=name, ctx=ast.Load()) if name in _NAMES:
            yield ast.Name(_NAMES[name], ast.Load())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.If(test=test) | ast.IfExp(test=test):
            negated = copy.copy(node)
            negated.test = ast.UnaryOp(ast.Not(), test)
            yield negated
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Raise() | ast.AugAssign() | ast.Expr(value=ast.Call() | ast.Await()):
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case _ if type(node) in _OPERATORS:
            yield _OPERATORS[type(node)]()
        case _:
            pass


def _places(node: ast.AST, line: int = 0) -> Iterator[tuple[int, ast.AST, str, int | None, ast.AST]]:
    """Every node below, as line, parent, field and index, and each that may stand in its place."""
    for field, value in ast.iter_fields(node):
        if field in _NOT_RUN:
            continue
        for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
            if isinstance(child, ast.AST):
                at = getattr(child, "lineno", line)
                for changed in _changed(child):
                    yield at, node, field, index, changed
                yield from _places(child, at)


def mutants(source: str) -> Iterator[tuple[str, CodeType]]:
    """Every mutant of a module: where and what it is, and its code."""
    tree = ast.parse(source)
    for line, parent, field, index, changed in list(_places(tree)):
        children: Any = vars(parent) if index is None else getattr(parent, field)
        key: Any = field if index is None else index
        before = children[key]
        shown = (before, changed) if isinstance(before, ast.stmt) else (parent, parent)
        was = ast.unparse(shown[0])
        children[key] = ast.copy_location(changed, before if hasattr(before, "lineno") else parent)
        yield (
            f"{line}: {_first_line(was)} -> {_first_line(ast.unparse(shown[1]))}",
            compile(ast.fix_missing_locations(tree), "mutant", "exec"),
        )
        children[key] = before


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        return self._code


class _Finder(MetaPathFinder):
    """Finds the mutant in the place of its module; without its code, lets nothing be imported that leans on it."""

    def __init__(self, module: str, code: CodeType | None = None) -> None:
        self._name = f"app.{module}"
        self._code = code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        if self._code is None:
            raise ImportError(fullname)
        place = str(_path(fullname))
        return importlib.util.spec_from_file_location(
            fullname, place, loader=_Loader(fullname, place, self._code)
        )


def _path(name: str) -> Path:
    return ROOT / (name.replace(".", "/") + ".py")


def _run_tests(tests: Sequence[str], finder: _Finder | None, told: int | None) -> int:
    """Within the new process: the exit code of pytest; `told` is a pipe that takes the names of what was imported."""
    if finder is not None:
        sys.meta_path.insert(0, finder)
    settings.register_profile(
        "mutants",
        deadline=None,
        derandomize=True,
        max_examples=30,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow],
    )
    # What is left out starts servers, which the end of a mutant that hangs would leave behind.
    chosen = ["-x", "-q", "--assert=plain", "-k", "not postgres and not redis", "-p", "no:cacheprovider"]
    code = pytest.main(
        [*chosen, "--hypothesis-profile=mutants", *(str(ROOT / "tests" / each) for each in tests)]
    )
    if told is not None:
        names = [name for name in sys.modules if not re.match(r"(tests|__main__)\b", name)]
        with os.fdopen(told, "w") as pipe:
            pipe.write("\n".join(names))
    return int(code)


def _in_child(
    tests: Sequence[str], finder: _Finder | None = None, *, limit_s: int, told: int | None = None
) -> tuple[int, float]:
    """The status in which pytest ended, or was ended, and the seconds of processor time that it took."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setpgid(0, 0)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(nowhere, stream)
            resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
            resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
            code = _run_tests(tests, finder, told)
        finally:
            os._exit(code)
    until_s = time.monotonic() + _WALL * limit_s
    while True:
        ended, status, used = os.wait4(child, os.WNOHANG)
        if ended:
            return status, used.ru_utime + used.ru_stime
        if time.monotonic() > until_s:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.05)


def baseline_s(module: str) -> float:
    """What the tests take without a fault; imports what does not lean on the module, for every process to come."""
    reading, writing = os.pipe()
    status, spent_s = _in_child(TESTS[module], limit_s=600, told=writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        names = pipe.read().split()
    if status != 0:
        raise RuntimeError(f"{module}: its tests fail without a fault")
    sys.meta_path.insert(0, _Finder(module))
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    del sys.meta_path[0]
    gc.freeze()
    return spent_s


def killed(module: str, sample: int, seed: int) -> tuple[int, int]:
    """How many mutants of a module its tests noticed, of how many tried; in a process of its own, prints the others."""
    path = _path(f"app.{module}")
    every = list(mutants(path.read_text()))
    chosen = random.Random(f"{seed} {module}").sample(every, min(sample, len(every)))
    limit_s = int(10 + 4 * baseline_s(module))
    statuses = []
    for place, code in chosen:
        status, _ = _in_child(TESTS[module], _Finder(module, code), limit_s=limit_s)
        statuses.append(status)
        if status == 0:
            print(f"  survived {path.relative_to(ROOT)}:{place}", flush=True)
    count, ended = len(chosen) - statuses.count(0), sum(map(os.WIFSIGNALED, statuses))
    print(
        f"{module}: {count} of {len(chosen)} killed, {ended} by time; there are {len(every)} in all",
        flush=True,
    )
    return count, len(chosen)


def main() -> None:
    """Print every survivor, and how many were killed in each module and altogether."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=[], help="modules or packages; all if none is named")
    parser.add_argument("--sample", type=int, default=40, help="mutants of each module")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    names = [
        name for name in TESTS if not options.modules or {name, name.partition(".")[0]} & set(options.modules)
    ]
    arguments = [(name, options.sample, options.seed) for name in names]
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        counts, tried = zip(*pool.starmap(killed, arguments, chunksize=1), strict=True)
    print(f"altogether: {sum(counts)} of {sum(tried)} killed")


if __name__ == "__main__":
    main()
