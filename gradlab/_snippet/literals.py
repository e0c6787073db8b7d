"""Values as Python expressions that give them again, exactly."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab import tangents as own_tangents
from gradlab.numerics.dtypes import is_narrow
from gradlab.point.values import is_foreign

PRINTABLE = 100  # entries of an array, items of a container or characters of a string that are written out

Named: TypeAlias = Callable[[Any], str | None]


def known_name(value: Any) -> str | None:
    """Return a name that needs no import but NumPy's and gradlab's: ``np.tanh``, ``gradlab.tangents.unit``.

    >>> known_name(np.float32), known_name(own_tangents.unit), known_name(len)
    ('np.float32', 'gradlab.tangents.unit', None)
    """
    name = getattr(value, "__name__", None)
    if not isinstance(name, str) or not callable(value):
        return None
    if getattr(own_tangents, name, None) is value:
        return f"gradlab.tangents.{name}"
    return f"np.{name}" if getattr(np, name, None) is value else None


def literal(value: Any, named: Named = known_name) -> str | None:
    """Return a value as a Python expression that gives it again; ``None`` where there is no short one.

    Parameters
    ----------
    value : object
        A number, a string, an array, a function or class, or containers, dataclasses and partials of these.
    named : callable, optional
        Names functions and classes, or returns ``None``.

    Examples
    --------
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
        return _array(value, named)
    if type(value).__module__.partition(".")[0] == "torch" and is_foreign(value):
        return _tensor(value)
    if isinstance(value, np.bool_ | np.number):
        return _scalar(value, named)
    if type(value) is functools.partial:
        return _call("functools.partial", (value.func, *value.args), value.keywords, named)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
        plain = all(field.init for field in dataclasses.fields(value))
        return _call(named(type(value)), (), fields, named) if plain else None
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _call(named(type(value)), (), value._asdict(), named)
    if type(value) in (tuple, list, dict) and len(value) <= PRINTABLE:
        return _container(value, named)
    return named(value)


def _container(value: Any, named: Named) -> str | None:
    if type(value) is dict:
        texts = [(literal(key, named), literal(item, named)) for key, item in value.items()]
        complete = all(key is not None and item is not None for key, item in texts)
        return f"{{{', '.join(f'{key}: {item}' for key, item in texts)}}}" if complete else None
    inside = _joined(literal(item, named) for item in value)
    if inside is None or type(value) is list:
        return None if inside is None else f"[{inside}]"
    return f"({inside},)" if len(value) == 1 else f"({inside})"


def _call(
    function: str | None, positional: Iterable[Any], keyword: dict[str, Any], named: Named
) -> str | None:
    """Write a call, of a class or of `functools.partial`, that gives a value again."""
    if function is None:
        return None
    texts = [literal(item, named) for item in positional]
    for name, item in keyword.items():
        text = literal(item, named)
        texts.append(text and f"{name}={text}")
    inside = _joined(texts)
    return None if inside is None else f"{function}({inside})"


def _joined(texts: Iterable[str | None]) -> str | None:
    found = list(texts)
    return None if None in found else ", ".join(map(str, found))


def _array(value: npt.NDArray[Any], named: Named) -> str | None:
    if value.size > PRINTABLE:
        return None
    if is_narrow(value.dtype):
        dtype = named(value.dtype.type)
        return dtype and f"np.array({_nested(value.astype(np.float64))}, dtype={dtype})"
    if value.dtype.kind not in "biufcUS":
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


def _scalar(value: Any, named: Named) -> str | None:
    if is_narrow(value.dtype):
        kind = named(type(value))
        return kind and f"{kind}({_number(float(value))})"
    return f"np.{type(value).__name__}({_number(value)})"


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
