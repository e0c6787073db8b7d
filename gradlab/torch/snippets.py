"""The call of `gradlab.torch` that gives a report again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gradlab._snippet import Snippet, call_snippet
from gradlab.point.arguments import called_with
from gradlab.torch.functions import names_in


def torch_snippet(call: str, func: Any, inputs: Any, on: Mapping[str, bool], **options: Any) -> Snippet:
    """Write the call; of the options that are on by default, those that are not."""
    given = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    off = "".join(f", {name}=False" for name, is_on in on.items() if not is_on)
    form = f"({{subject}}, ({{inputs}}{',' * (len(given) == 1)}), {{options}}{off})"
    named = called_with(lambda *arguments: None, names_in(func, len(given)), "func", func)
    snippet = call_snippet(f"torch.{call}", func, named, given, form=form, **options)
    return replace(snippet, call=f"import torch\n{snippet.call}")
