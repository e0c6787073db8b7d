"""A check as Python text that can be pasted and run: its inputs, a line each, and the call.

What can be written is written exactly: numbers by their shortest text that reads back as the same number,
functions by a name under which they can be imported. What cannot, or is too large, is a comment that says
what stood there, and the call then takes the name from wherever it is pasted.
"""

from __future__ import annotations

import inspect
import keyword
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradlab import tangents as own_tangents
from gradlab.numerics.dtypes import is_narrow
from gradlab.point.arguments import arrange, names_of
from gradlab.point.values import describe, is_foreign
from gradlab.rule import TORCH

if TYPE_CHECKING:
    from gradlab.rule import Rule

PRINTABLE = 100  # entries of an array, or items of a container, that are written out
INLINE = 40  # characters of an option that stands in the call itself rather than on a line of its own
RESERVED = frozenset({"np", "gradlab", "dataclasses", "rule", *keyword.kwlist})


@dataclass(frozen=True)
class Snippet:
    """Two parts of a text; pasted in this order, after the imports of ``gradlab`` and ``np``, they run.

    Attributes
    ----------
    example : str
        The inputs, a line each; where options need a line of their own, these too.
    call : str
        The call, after the imports of the functions that it names.
    """

    example: str
    call: str


def gradcheck_snippet(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    inputs: Any,
    *,
    call: str = "gradcheck",
    kwargs: Mapping[str, Any] | None = None,
    tangents: Mapping[str, Any] | None = None,
    grad_output: Any = None,
    seed: int,
    **options: Any,
) -> Snippet:
    """Write a call of `gradlab.gradcheck`, or of another function that takes the same.

    Options that have their default value, ``None`` or ``False``, are left out.

    >>> def square(x):
    ...     return x**2
    >>> print(gradcheck_snippet(square, np.cosh, np.array([0.5]), seed=0, rtol=1e-3).call)
    gradlab.gradcheck(square, np.cosh, x, rtol=0.001, rng=0)
    """
    further = {role: options.pop(role, None) for role in ("jvp", "double_backward")}
    names, imports = _named_functions({"forward": forward, "backward": backward, **further})
    given, lines, taken = _inputs(forward, inputs, taken=[name.partition(".")[0] for name in names])
    arguments = [*names[:2], given, *_by_keyword(further, names[2:])]
    for name, value in options.items():
        if name == "reference" and isinstance(value, tuple | list):
            roles = zip(("reference_forward", "reference_backward"), value, strict=True)
            pair = [_option(role, function, lines, taken) for role, function in roles]
            arguments.append(f"reference=({', '.join(pair)})")
        elif value is not None and value is not False:
            arguments.append(f"{name}={_option(name, value, lines, taken)}")
    if tangents:
        items = (f"{key!r}: {_option('project', value, lines, taken)}" for key, value in tangents.items())
        arguments.append(f"tangents={{{', '.join(items)}}}")
    if kwargs:
        items = (f"{key!r}: {_option(key, value, lines, taken)}" for key, value in kwargs.items())
        arguments.append(f"kwargs={{{', '.join(items)}}}")
    if grad_output is not None:
        arguments.append(f"grad_output={_option('grad_output', grad_output, lines, taken)}")
    written = f"gradlab.{call}({', '.join([*arguments, f'rng={seed}'])})"
    return Snippet("\n".join(lines), "\n".join([*imports, written]))


def call_snippet(
    function: str,
    subject: Any,
    forward: Callable[..., Any],
    inputs: Sequence[Any],
    /,
    *,
    form: str = "({subject}, {inputs}, {options})",
    keywords: Mapping[str, Any] | None = None,
    **options: Any,
) -> Snippet:
    """Write a call of one of gradlab's functions that takes a function or a layer, then the inputs.

    ``form`` says where in the call they stand; ``keywords`` stand with the inputs. Of an object that cannot
    be written, the snippet says what it was.

    >>> class Model:
    ...     def __init__(self):
    ...         self.params = {"w": np.ones(2)}
    ...
    ...     def loss(self, x): ...
    >>> model = Model()
    >>> print(call_snippet("check_value_and_grad", model.loss, model.loss, (2.0,), params=model.params).call)
    # model is a Model
    gradlab.check_value_and_grad(model.loss, x, params=model.params)
    """
    owner = getattr(subject, "__self__", None) if inspect.ismethod(subject) else None
    name = _numpy_name(subject) or _own_name(subject)
    imports: list[str] = []
    if owner is not None:
        variable = _variable(type(owner).__name__.lower(), {"_"})
        imports, name = [_assignment(variable, owner)], f"{variable}.{subject.__name__}"
    elif name is None:
        name = "function" if inspect.isfunction(subject) else "layer"
        imports = [_assignment(name, subject)]
    elif not _numpy_name(subject) and _home(subject):
        imports = [f"from {_home(subject)} import {name.partition('.')[0]}"]
    lines: list[str] = []
    known = name.partition(".")[0]
    taken: set[str] = {known}
    given: list[str] = []
    for argument, value in zip(names_of(forward, len(inputs)), inputs, strict=True):
        given.append(_variable(argument, taken))
        lines.append(_assignment(given[-1], value))
    given += [f"{key}={_option(key, value, lines, taken)}" for key, value in (keywords or {}).items()]
    chosen: list[str] = []
    held = {id(value): f"{known}.{key}" for key, value in getattr(owner, "__dict__", {}).items()}
    for option, value in options.items():
        if value is not None and value is not False:
            text = held.get(id(value)) if isinstance(value, Mapping | list) else None
            chosen.append(f"{option}={text or _option(option, value, lines, taken)}")
    call = form.format(subject=name, inputs=", ".join(given), options=", ".join(chosen))
    call = call.replace(", , ", ", ").replace(", )", ")")  # where there are none
    return Snippet("\n".join(lines), "\n".join([*imports, f"gradlab.{function}{call}"]))


def derivative_snippet(
    called: str,
    fun: Callable[..., Any],
    derivative: Any,
    x0: Any,
    *,
    role: str = "derivative",
    **options: Any,
) -> Snippet:
    """Write a call ``called(fun, derivative, x0, ...)``, such as one of `gradlab.scipy`.

    Options that are ``None`` are left out; those of a name that starts with a star are positional.

    >>> snippet = derivative_snippet("gradlab.scipy.check_grad", np.sum, np.ones_like, 0.5, rtol=None, rng=0)
    >>> print(snippet.call)
    gradlab.scipy.check_grad(np.sum, np.ones_like, x0, rng=0)
    """
    if derivative is True:
        names, imports = _named_functions({"fun": fun})
        names.append("True")
    else:
        names, imports = _named_functions({"fun": fun, role: derivative})
    taken = {name.partition(".")[0] for name in names}
    lines = [_assignment(_variable("x0", taken), x0)]
    arguments = [*names, "x0"]
    for name, value in options.items():
        if name.startswith("*"):
            arguments += [_option(name[1:], item, lines, taken) for item in value]
        elif value is not None:
            arguments.append(f"{name}={_option(name, value, lines, taken)}")
    return Snippet("\n".join(lines), "\n".join([*imports, f"{called}({', '.join(arguments)})"]))


def point_snippet(rule: Rule, inputs: Any, *, rtol: float | None, seed: int, explicit: bool) -> Snippet:
    """Write a call that checks one point of a rule.

    With ``explicit``, by `gradlab.verify`, which builds the explicit Jacobian, at this point alone;
    otherwise by `gradlab.gradcheck`.
    """
    options = [*([f"rtol={_number(rtol)}"] if rtol is not None else []), f"rng={seed}"]
    found = _named_rule(rule)
    further = {"jvp": rule.jvp}
    names, imports = _named_functions({"forward": rule.forward, "backward": rule.backward, **further})
    if found is None and not explicit and not any(line.startswith("#") for line in imports):
        taken = [name.partition(".")[0] for name in names]
    else:
        names, imports, taken = ["rule.forward", "rule.backward", "rule.jvp"], _rule_lines(rule), []
    given, lines, _ = _inputs(rule.forward, inputs, taken=taken)
    if explicit:
        replaced = f"dataclasses.replace(rule, inputs={given if given[0] in '({' else f'({given},)'})"
        call = f"gradlab.verify({', '.join([replaced, 'max_examples=1', *options])})"
        imports = ["import dataclasses", *imports]
    else:
        own = ["cached=True"] if rule.cached else []
        own += [f"convention={rule.convention!r}"] if rule.convention != TORCH else []
        arguments = [*names[:2], given, *_by_keyword(further, names[2:]), *own, *options]
        call = f"gradlab.gradcheck({', '.join(arguments)})"
    return Snippet("\n".join(lines), "\n".join([*imports, call]))


def verify_call(rule: Rule, *, max_examples: int, rtol: float | None, seed: int) -> str:
    """Write a call of `gradlab.verify`."""
    tolerance = f"rtol={_number(rtol)}, " if rtol is not None else ""
    call = f"gradlab.verify(rule, max_examples={max_examples}, {tolerance}rng={seed})"
    return "\n".join([*_rule_lines(rule), call])


def literal(value: Any) -> str | None:
    """Return a value as a Python expression that gives it again; ``None`` where there is no short one.

    >>> literal(np.array([0.1, np.inf], dtype=np.float32))
    "np.array([0.1, np.inf], dtype='float32')"
    >>> literal({"axis": (0, None)})
    "{'axis': (0, None)}"
    """
    # Exact types only: what a subclass, or an object's repr, leaves out cannot be known.
    if value is None or value is Ellipsis or type(value) in (bool, int, float, complex):
        return _number(value)
    if type(value) in (str, bytes):
        return repr(value) if len(value) <= PRINTABLE else None
    if type(value) is np.ndarray:
        return _array(value)
    if type(value).__module__.partition(".")[0] == "torch" and is_foreign(value):
        return _tensor(value)
    if isinstance(value, np.bool_ | np.number) and not is_narrow(value.dtype):
        return f"np.{type(value).__name__}({_number(value)})"
    if type(value) in (tuple, list) and len(value) <= PRINTABLE:
        items = [literal(item) for item in value]
        if None in items:
            return None
        inside = ", ".join(map(str, items))
        if type(value) is list:
            return f"[{inside}]"
        return f"({inside},)" if len(items) == 1 else f"({inside})"
    if type(value) is dict and len(value) <= PRINTABLE:
        pairs = [(literal(key), literal(item)) for key, item in value.items()]
        complete = all(key is not None and item is not None for key, item in pairs)
        return f"{{{', '.join(f'{key}: {item}' for key, item in pairs)}}}" if complete else None
    return _numpy_name(value)


def _array(value: npt.NDArray[Any]) -> str | None:
    if value.dtype.kind not in "biufcUS" or is_narrow(value.dtype) or value.size > PRINTABLE:
        return None
    if not value.size:
        return f"np.empty({value.shape}, dtype={str(value.dtype)!r})"
    usual = value.dtype in map(np.dtype, (float, int, bool, complex)) or value.dtype.kind in "US"
    return f"np.array({_nested(value)}{'' if usual else f', dtype={str(value.dtype)!r}'})"


def _tensor(value: Any) -> str | None:
    """Write a tensor of PyTorch, which whoever has one has loaded."""
    if value.numel() > PRINTABLE or value.is_sparse or value.is_quantized:
        return None
    is_narrow_float = value.is_floating_point() and value.element_size() < 4
    array = (value.float() if is_narrow_float else value).numpy(force=True)
    options = [f"dtype={value.dtype}"]
    options += [f"device={str(value.device)!r}"] if value.device.type != "cpu" else []
    options += ["requires_grad=True"] if value.requires_grad else []
    if not array.size:
        return f"torch.empty({tuple(value.shape)}, {', '.join(options)})"
    return f"torch.tensor({_nested(array)}, {', '.join(options)})"


def _nested(value: npt.NDArray[Any]) -> str:
    if value.ndim:
        return f"[{', '.join(_nested(np.asarray(row)) for row in value)}]"
    scalar = value[()]
    return repr(scalar.item()) if value.dtype.kind in "US" else _number(scalar)


def _number(value: Any) -> str:
    """Write a number by the fewest digits that, in its own precision, give it again."""
    if isinstance(value, complex | np.complexfloating):
        parts = value.real, value.imag
        signed_zero = any(part == 0 and np.signbit(part) for part in parts)
        if signed_zero or not np.isfinite(value):
            return f"complex({_number(parts[0])}, {_number(parts[1])})"
        return str(value).strip("()")
    if isinstance(value, np.longdouble) and np.isfinite(value):
        return repr(value)
    text = str(value)
    return re.sub(r"(nan|inf)", r"np.\1", text) if isinstance(value, float | np.floating) else text


def _inputs(
    forward: Callable[..., Any], inputs: Any, *, taken: Sequence[str]
) -> tuple[str, list[str], set[str]]:
    """Return the inputs as the call takes them, a line for each, and the names that are taken."""
    form, names, values = arrange(forward, inputs)
    used, lines, variables = set(taken), [], []
    for name, value in zip(names, values, strict=True):
        variables.append(_variable(name, used))
        lines.append(_assignment(variables[-1], value))
    if form == "keyword":
        pairs = zip(names, variables, strict=True)
        return f"{{{', '.join(f'{name!r}: {variable}' for name, variable in pairs)}}}", lines, used
    if form == "single":
        return variables[0], lines, used
    return f"({', '.join(variables)}{',' * (len(variables) == 1)})", lines, used


def _option(name: str, value: Any, lines: list[str], taken: set[str]) -> str:
    """Return what stands for an option in the call; a longer one gets a line of its own."""
    text = literal(value)
    if text is not None and len(text) <= INLINE:
        return text
    variable = _variable(name, taken)
    lines.append(_assignment(variable, value))
    return variable


def _assignment(variable: str, value: Any) -> str:
    """Return a line that gives a variable its value; where that cannot be written, one that describes it."""
    text = literal(value)
    if text is not None:
        return f"{variable} = {text}"
    name, home = _own_name(value), _home(value)
    if home is not None and name is not None and "." not in name:
        return f"from {home} import {name} as {variable}"
    called = str(getattr(value, "__qualname__", "")).rpartition("<locals>.")[2]
    if called == "<lambda>":
        return f"# {variable} is a lambda"
    return f"# {variable} is {describe(value)}{called and f' {called}'}"


def _variable(name: str, taken: set[str]) -> str:
    """Return an identifier for an input, such as ``input_0`` for ``input[0]``, that is not yet taken."""
    variable = re.sub(r"\W", "_", name.removesuffix("]"))
    while not variable.isidentifier() or variable in RESERVED or variable in taken:
        variable = f"{variable}_" if variable.isidentifier() else f"_{variable}"
    taken.add(variable)
    return variable


def _named_functions(functions: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return what to call functions, given by their roles, and the lines that import or describe them.

    ``None`` is called that.
    """
    names: list[str] = []
    lines: list[str] = []
    imported: dict[str, dict[str, None]] = {}
    known: list[Any] = []
    for role, function in functions.items():
        name = "None" if function is None else _numpy_name(function) or _own_name(function)
        taken = name in names and not any(function is other for other in known)
        if function is not None and (name is None or name in RESERVED or taken):
            lines.append(_assignment(role, function))
            name = role
        elif function is not None and not _numpy_name(function) and _home(function):
            imported.setdefault(str(_home(function)), {})[str(name).partition(".")[0]] = None
        names.append(str(name))
        known.append(function)
    lines += [f"from {home} import {', '.join(own)}" for home, own in imported.items()]
    return names, lines


def _by_keyword(functions: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return keyword arguments for those functions that there are."""
    pairs = zip(functions.items(), names, strict=True)
    return [f"{role}={name}" for (role, function), name in pairs if function is not None]


def _rule_lines(rule: Rule) -> list[str]:
    """Return the line that gives a rule the name ``rule``, or says which it is; none where it has it."""
    found = _named_rule(rule)
    if found is None:
        return [f"# rule is the Rule {rule.name!r}"]
    module, name = found
    if module != "__main__":
        return [f"from {module} import {name} as rule"]
    return [] if name == "rule" else [f"rule = {name}"]


def _named_rule(rule: Rule) -> tuple[str, str] | None:
    """Return where a rule can be had from: a module that defines its functions, and its name there."""
    functions = (rule.forward, rule.backward, rule.jvp)
    homes = [str(getattr(function, "__module__", None)) for function in functions]
    for module in dict.fromkeys([*homes, "__main__"]):
        for name, value in list(getattr(sys.modules.get(module), "__dict__", {}).items()):
            if value is rule and (module == "__main__" or _can_import(module)):
                return module, name
    return None


def _own_name(function: Any) -> str | None:
    """Return the name that a function was defined by, such as ``f`` or ``Layer.forward``, if it has one."""
    qualified = getattr(function, "__qualname__", None)
    if not isinstance(qualified, str) or not _is_free(function):
        return None
    name = qualified.rpartition("<locals>.")[2]
    given = getattr(function, "__name__", name)
    if name.rpartition(".")[2] != given and given != "<lambda>":
        name = str(given)  # a decorator's function, called like the one that it decorates
    return name if all(part.isidentifier() for part in name.split(".")) else None


def _is_free(function: Any) -> bool:
    """Whether a function belongs to no object, so that its name is all there is to it."""
    owner = getattr(function, "__self__", None)
    return owner is None or isinstance(owner, type)


def _home(function: Any) -> str | None:
    """Return the module from which another process can import a function, by the name it was defined by."""
    name, module = getattr(function, "__qualname__", None), getattr(function, "__module__", None)
    if not isinstance(name, str) or not isinstance(module, str) or not _is_free(function):
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    # Each access to a class method gives a new object around the same function.
    same = getattr(found, "__func__", found) is getattr(function, "__func__", function)
    return module if same and _can_import(module) else None


def _can_import(module: str) -> bool:
    """Whether a module is found by a search, and not only because this process has made it."""
    top = module.partition(".")[0]
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]
    return top != "__main__" and any(finder.find_spec(top, None) is not None for finder in finders)


def _numpy_name(value: Any) -> str | None:
    """Return ``np.tanh`` for ``np.tanh``, ``np.float32`` for that, and the name of one of our tangents."""
    name = getattr(value, "__name__", None)
    if not isinstance(name, str) or not callable(value):
        return None
    if getattr(own_tangents, name, None) is value:
        return f"gradlab.tangents.{name}"
    return f"np.{name}" if getattr(np, name, None) is value else None
