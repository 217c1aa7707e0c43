"""Which requests and questions of auth can end a session: read from the code.

Calls are followed by the types that the code itself states (fields of dataclasses, parameters, results). Where
none is stated, every method of that name is meant: one door too many is found rather than one too few.
"""

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import Any

from tests.support.servers import ROOT

Function = ast.FunctionDef | ast.AsyncFunctionDef
Key = tuple[str, str, str]  # module, class ("" for none), name

# These two end nothing of their own: they do what others have stored, an end or an entry `EndSessions`.
DOERS = {"services.auth.flows.announcing", "services.auth.flows.relay"}
PARTS = ("domain", "ports", "flows", "http", "handlers")


@dataclass
class Code:
    """The functions, classes and imports of auth."""

    functions: dict[Key, Function] = field(default_factory=dict)
    fields: dict[str, dict[str, ast.expr]] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)  # class -> module
    protocols: set[str] = field(default_factory=set)
    imports: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)

    @classmethod
    def read(cls) -> "Code":
        """All of auth between its doors and its ports."""
        code = cls()
        for part in PARTS:
            for path in sorted((ROOT / "services" / "auth" / part).rglob("*.py")):
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                code._take(module.removesuffix(".__init__"), ast.parse(path.read_text()))
        return code

    @cached_property
    def named(self) -> dict[str, set[Key]]:
        """The methods of each name that do something."""
        found: dict[str, set[Key]] = {}
        for key in self.functions:
            if key[1] and key[1] not in self.protocols:
                found.setdefault(key[2], set()).add(key)
        return found

    def calls(self, key: Key) -> set[Key]:
        """What the function may call."""
        place = _Place(self, key)
        calls = [n for n in ast.walk(place.function) if isinstance(n, ast.Call)]
        found = [place.target(n.func) for n in calls]
        found += [
            place.target(n.args[0]) for n in calls if _is_partial(n)
        ]  # called by somebody else
        return set().union(*found)

    def methods(self, class_: str, name: str) -> set[Key]:
        """The method *name* of *class_*, or of whoever of ours can stand behind that port."""
        if class_ in self.protocols:
            asked = self._methods_of(class_)
            return {k for k in self.named.get(name, ()) if asked <= self._methods_of(k[1])}
        key = (self.homes[class_], class_, name)
        return {key} if key in self.functions else set()

    def doors(self) -> set[Key]:
        """The functions that a route leads to, and those that answer questions on the bus."""
        answering = {key for key in self.functions if key[2].startswith("on_") and not key[1]}
        modules = [importlib.import_module(name) for name in self.imports]
        handlers = {id(handler) for module in modules for handler in _handlers(module)}
        # By what a module calls it: a decorator may have given it another name.
        named = {
            (m.__name__, "", n) for m in modules for n, v in vars(m).items() if id(v) in handlers
        }
        return (answering | named) & self.functions.keys()

    def _methods_of(self, class_: str) -> set[str]:
        return {key[2] for key in self.functions if key[1] == class_}

    def class_in(self, annotation: ast.expr | None) -> str | None:
        """The class of ours that an annotation names, perhaps beside None."""
        names = (n.id for n in ast.walk(annotation or ast.Tuple()) if isinstance(n, ast.Name))
        return next((name for name in names if name in self.homes), None)

    def _take(self, module: str, tree: ast.Module) -> None:
        self.imports[module] = {
            alias.asname or alias.name: (node.module, alias.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        for node in tree.body:
            if isinstance(node, Function):
                self.functions[module, "", node.name] = node
            elif isinstance(node, ast.ClassDef):
                self._take_class(module, node)

    def _take_class(self, module: str, node: ast.ClassDef) -> None:
        self.homes[node.name] = module
        if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
            self.protocols.add(node.name)
        own = self.fields.setdefault(node.name, {})
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                own[item.target.id] = item.annotation
            elif isinstance(item, Function):
                self.functions[module, node.name, item.name] = item


class _Place:
    """Inside one function: what its names are."""

    def __init__(self, code: Code, key: Key) -> None:
        self.code, self.module, self.own_class = code, key[0], key[1]
        self.function = code.functions[key]
        arguments = self.function.args
        self._types = {
            a.arg: code.class_in(a.annotation)
            for a in (*arguments.args, *arguments.kwonlyargs)
            if a.annotation is not None
        }
        for node in ast.walk(self.function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._types.setdefault(node.targets[0].id, self._type(node.value))

    def target(self, func: ast.expr) -> set[Key]:
        """The functions that a call may reach."""
        if isinstance(func, ast.Name):
            home, name = self.code.imports[self.module].get(func.id, (self.module, func.id))
            return {(home, "", name)} & self.code.functions.keys()
        if not isinstance(func, ast.Attribute) or isinstance(func.value, ast.Constant):
            return set()
        class_ = self._type(func.value)
        if class_ is not None:
            return self.code.methods(class_, func.attr)
        if isinstance(func.value, ast.Name) and func.value.id in self.code.imports[self.module]:
            home, name = self.code.imports[self.module][func.value.id]  # a module, or not ours
            return {(f"{home}.{name}", "", func.attr)} & self.code.functions.keys()
        return self.code.named.get(func.attr, set())

    def _type(self, value: ast.expr) -> str | None:
        if isinstance(value, ast.Await):
            return self._type(value.value)
        if isinstance(value, ast.Name):
            return self.own_class if value.id == "self" else self._types.get(value.id)
        if isinstance(value, ast.Attribute):
            return self.code.class_in(
                self.code.fields.get(self._type(value.value) or "", {}).get(value.attr)
            )
        if isinstance(value, ast.Call):
            if isinstance(value.func, ast.Name) and value.func.id in self.code.homes:
                return value.func.id
            results = {
                self.code.class_in(self.code.functions[k].returns) for k in self.target(value.func)
            }
            return results.pop() if len(results) == 1 else None
        return None


def doors_that_end_sessions() -> set[str]:
    """``module.function`` of each, and the modules of the command line that publish `TOKEN_REVOKED`."""
    code = Code.read()
    keys = [key for key in code.functions if key[0] not in DOERS]
    ends = {key for key in keys if _ends(code.functions[key])}
    assert ends, "nothing publishes token.revoked any more?"
    called = {key: code.calls(key) for key in keys}
    while more := {key for key in keys if called[key] & ends} - ends:
        ends |= more
    doors = {f"{module.rpartition('.')[2]}.{name}" for module, _, name in ends & code.doors()}
    return doors | {f"ctl.{module}" for module, node in _command_line() if _publishes(node)}


def _ends(function: Function) -> bool:
    names = {n.func.id for n in _calls(function) if isinstance(n.func, ast.Name)}
    return _publishes(function) or "EndSessions" in names


def _publishes(function: Function) -> bool:
    names = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
    published = any(
        isinstance(n.func, ast.Attribute) and n.func.attr == "publish" for n in _calls(function)
    )
    return bool(names & {"TOKEN_REVOKED", "TOKEN_REVOKED_BY"}) and published


def _is_partial(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "partial"


def _calls(function: Function) -> Iterator[ast.Call]:
    return (n for n in ast.walk(function) if isinstance(n, ast.Call))


def _handlers(module: ModuleType) -> Iterator[Any]:
    """What *module* puts on routes, with accounts."""
    yield from (route.handler for route in getattr(module, "ROUTES", ()))
    for table in ("SHOWN", "POSTED"):
        yield from getattr(module, table, {}).values()


def _command_line() -> Iterator[tuple[str, Function]]:
    for path in sorted((ROOT / "ctl").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield path.stem, node
