"""Calls of gradlab as text: of `gradcheck` and what takes the same, of a layer, a derivative, a point."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradlab._snippet.literals import known_name
from gradlab._snippet.names import origin_of
from gradlab._snippet.writer import Snippet, Writer
from gradlab.point.arguments import arrange, names_of
from gradlab.rule import TORCH, Rule


def gradcheck_snippet(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    inputs: Any,
    *,
    call: str = "gradcheck",
    kwargs: Mapping[str, Any] | None = None,
    tangents: Mapping[str, Any] | None = None,
    reference: Any = None,
    grad_output: Any = None,
    seed: int,
    **options: Any,
) -> Snippet:
    """Write a call of `gradlab.gradcheck`, or of another function that takes the same.

    Options that have their default value, ``None`` or ``False``, are left out.

    >>> import numpy as np
    >>> def square(x):
    ...     return x**2
    >>> print(gradcheck_snippet(square, np.cosh, np.array([0.5]), seed=0, rtol=1e-3).call)
    gradlab.gradcheck(square, np.cosh, x, rtol=0.001, rng=0)
    """
    writer = Writer()
    arguments = [writer.name("forward", forward), writer.name("backward", backward)]
    roles = [role for role in ("jvp", "double_backward") if options.get(role) is not None]
    further = [f"{role}={writer.name(role, options.pop(role))}" for role in roles]
    if isinstance(reference, Rule):
        further.append(f"reference={_rule(writer, reference)}")
    elif reference is not None:
        pair = map(writer.name, ("reference_forward", "reference_backward"), reference)
        further.append(f"reference=({', '.join(pair)})")
    arguments += [_inputs(writer, forward, inputs), *further, *writer.options(options)]
    if tangents:
        arguments.append(f"tangents={writer.items(tangents, 'project')}")
    if kwargs:
        arguments.append(f"kwargs={writer.items(kwargs)}")
    arguments += writer.options({"grad_output": grad_output})
    return writer.snippet(f"gradlab.{call}({', '.join([*arguments, f'rng={seed}'])})")


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

    >>> import numpy as np
    >>> class Model:
    ...     def __init__(self):
    ...         self.params = {"w": np.ones(2)}
    ...
    ...     def loss(self, x): ...
    >>> model = Model()
    >>> print(call_snippet("check_value_and_grad", model.loss, model.loss, (2.0,), params=model.params).call)
    # define first: model, a Model
    gradlab.check_value_and_grad(model.loss, x, params=model.params)
    """
    writer = Writer()
    role = "function" if inspect.isroutine(subject) else "layer"
    name = writer.name(role, subject)
    given = [writer.assign(*item) for item in zip(names_of(forward, len(inputs)), inputs, strict=True)]
    given += [f"{key}={writer.option(key, value)}" for key, value in (keywords or {}).items()]
    # What the object of a method holds, such as its parameters, is taken from there.
    owner, base = getattr(subject, "__self__", None), name.rpartition(".")[0]
    held = {id(value): f"{base}.{key}" for key, value in getattr(owner, "__dict__", {}).items()}
    chosen = []
    for option, value in options.items():
        own = held.get(id(value)) if isinstance(value, Mapping | list) else None
        chosen += writer.options({option: value}) if own is None else [f"{option}={own}"]
    call = form.format(subject=name, inputs=", ".join(given), options=", ".join(chosen))
    call = call.replace(", , ", ", ").replace(", )", ")")  # where there are none
    return writer.snippet(f"gradlab.{function}{call}")


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

    >>> import numpy as np
    >>> snippet = derivative_snippet("gradlab.scipy.check_grad", np.sum, np.ones_like, 0.5, rtol=None, rng=0)
    >>> print(snippet.call)
    gradlab.scipy.check_grad(np.sum, np.ones_like, x0, rng=0)
    """
    writer = Writer()
    arguments = [writer.name("fun", fun), writer.name(role, derivative), writer.assign("x0", x0)]
    for name, value in options.items():
        if name.startswith("*"):
            arguments += [writer.option(name[1:], item) for item in value]
        elif value is not None:
            given = writer.name(name, value) if inspect.isroutine(value) else writer.option(name, value)
            arguments.append(f"{name}={given}")
    return writer.snippet(f"{called}({', '.join(arguments)})")


def point_snippet(rule: Rule, inputs: Any, *, rtol: float | None, seed: int, explicit: bool) -> Snippet:
    """Write a call that checks one point of a rule.

    With ``explicit``, by `gradlab.verify`, which builds the explicit Jacobian; otherwise by
    `gradlab.gradcheck`.
    """
    own = getattr(rule.forward, "snippet", None)
    if own is not None:  # a framework's function is checked by that framework's call
        written: Snippet = own(inputs, seed=seed)
        return written
    writer = Writer()
    parts = {role: getattr(rule, role) for role in ("forward", "backward", "jvp", "reference")}
    if explicit or _is_at_hand(rule) or not all(map(_is_at_hand, filter(None, parts.values()))):
        name = _rule(writer, rule)
        named = {role: f"{name}.{role}" if part is not None else "None" for role, part in parts.items()}
    else:
        named = {role: writer.name(role, part) for role, part in parts.items()}
    point = _inputs(writer, rule.forward, inputs)
    options = [*writer.options({"rtol": rtol}), f"rng={seed}"]
    if explicit:
        point = point if point[0] in "({" else f"({point},)"
        return writer.snippet(f"gradlab.verify({', '.join([name, f'examples=[{point}]', *options])})")
    arguments = [named["forward"], named["backward"], point]
    arguments += [f"{role}={named[role]}" for role in ("jvp", "reference") if parts[role] is not None]
    convention = None if rule.convention == TORCH else rule.convention
    arguments += writer.options({"cached": rule.cached, "convention": convention})
    return writer.snippet(f"gradlab.gradcheck({', '.join([*arguments, *options])})")


def verify_call(
    rule: Rule, *, max_examples: int, rtol: float | None = None, max_seconds: float | None = None, seed: int
) -> str:
    """Write a call of `gradlab.verify`."""
    writer = Writer()
    name = _rule(writer, rule)
    given = writer.options({"rtol": rtol, "max_seconds": max_seconds})
    options = [f"max_examples={max_examples}", *given, f"rng={seed}"]
    return writer.snippet(f"gradlab.verify({', '.join([name, *options])})").call


def _inputs(writer: Writer, forward: Callable[..., Any], inputs: Any) -> str:
    """Write the inputs, a line each, and return them as a call takes them."""
    form, names, values = arrange(forward, inputs)
    variables = list(map(writer.assign, names, values))
    if form == "keyword":
        pairs = zip(names, variables, strict=True)
        return f"{{{', '.join(f'{name!r}: {variable}' for name, variable in pairs)}}}"
    if form == "single":
        return variables[0]
    return f"({', '.join(variables)}{',' * (len(variables) == 1)})"


def _rule(writer: Writer, rule: Rule) -> str:
    return writer.name("rule", rule, *homes_of(rule), alias=True)


def _is_at_hand(value: Any) -> bool:
    """Whether a rule, or a function, can be had by whoever pastes."""
    homes = homes_of(value) if isinstance(value, Rule) else ()
    return known_name(value) is not None or origin_of(value, *homes) is not None


def homes_of(rule: Rule) -> tuple[str, ...]:
    """Return the modules that define a rule's functions, in which it is likely to be found."""
    functions = (rule.forward, rule.backward, rule.jvp)
    return tuple(str(getattr(function, "__module__", None)) for function in functions)
