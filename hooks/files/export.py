"""Exporting controllers to plain TransformerLens: a script and its weights, no irl_lens.

The script is short enough to read. It needs torch and safetensors, and gives what
``model.run_with_hooks(tokens, fwd_hooks=...)`` takes.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save as to_bytes

from irl_lens.hooks.controllers.bank import ControllerBank
from irl_lens.hooks.controllers.controller import Controller
from irl_lens.hooks.core.address import SCORES
from irl_lens.hooks.core.part import Part
from irl_lens.hooks.files.save_load import write

# Names come from whoever saved the controllers: they enter as literals, never as bare text.
SCRIPT = '''\
"""Controllers for plain TransformerLens: e <- {equation} at HOOK_NAME.

    model.run_with_hooks(tokens, fwd_hooks=fwd_hooks())    # or fwd_hooks(name), of NAMES

Exported by irl-lens; needs torch, safetensors and the weights beside this script.
"""

from pathlib import Path

from safetensors.torch import load_file

HOOK_NAME = {hook_name!r}
NAMES = {names!r}
WEIGHTS = load_file(Path(__file__).with_name({weights!r}))


def fwd_hooks(name=NAMES[0]):
    """Returns the (hook name, function) pairs of the controller called `name`."""
    weights = {{key: stacked[NAMES.index(name)] for key, stacked in WEIGHTS.items()}}

    def control(e, hook):
        {tensors} = (weights[key].to(e) for key in {keys!r})
        return {equation}

    return [(HOOK_NAME, control)]
'''


def export_fwd_hooks(part: Part, path: str | Path) -> Path:
    """Writes a Python script of `fwd_hooks(name)` and a safetensors file beside it.

    Args:
        part: a controller that is the same at every position, or a bank of them.
        path: the script, ending in ``.py``, or a folder to put ``fwd_hooks.py`` in.

    Returns:
        The script.

    Raises:
        ValueError: a part that is no constant function of the stream; a matrix at
            ``hook_attn_scores``, whose minus infinities a plain function does not leave out.

    Examples:
        >>> import runpy, tempfile, torch
        >>> from irl_lens.hooks import VectorController
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     script = export_fwd_hooks(VectorController(torch.ones(2), "hook_embed"), folder)
        ...     [(name, control)] = runpy.run_path(str(script))["fwd_hooks"]()
        >>> name, control(torch.zeros(2), hook=None)
        ('hook_embed', tensor([1., 1.]))
    """
    names, stack = _stacked(part)
    if stack.hook_name.endswith(SCORES) and not stack.constant:
        raise ValueError(
            f"a {type(stack).__name__} at {stack.hook_name} multiplies what attention hides, minus "
            "infinity, in a plain function; attach it, which leaves that out"
        )
    path = Path(path)
    script = path if path.suffix == ".py" else path / "fwd_hooks.py"
    weights = script.with_suffix(".weights.safetensors")  # not what save calls its file
    equation, named = stack.exported()
    tensors = {n: t.detach().cpu().contiguous().clone() for n, t in named.items()}
    script.parent.mkdir(parents=True, exist_ok=True)
    write(weights, to_bytes(tensors))
    text = SCRIPT.format(
        equation=equation,
        hook_name=stack.hook_name,
        names=names,
        weights=weights.name,
        tensors=", ".join(tensors) + "," * (len(tensors) == 1),
        keys=tuple(tensors),
    )
    write(script, text.encode())
    return script


def _stacked(part: Part) -> tuple[tuple[str, ...], Controller]:
    """Returns names and controllers, stacked along one axis."""
    if isinstance(part, ControllerBank):
        return part.names, part.stack
    if isinstance(part, Controller) and part.lead == ():
        return ("controller",), part.at(None)
    lead = f" of leading axes {part.lead}" if isinstance(part, Controller) else ""
    raise ValueError(
        f"a {type(part).__name__}{lead} is no constant function of the stream; export a "
        "controller that is the same at every position, or a bank of them"
    )
