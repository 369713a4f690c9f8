"""What a saved intervention says about itself, checked and printed without its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import NoneType
from typing import Any

from irl_lens.hooks.core.part import Part
from irl_lens.hooks.files.json_text import finite

FORMAT = "irl-lens intervention"
VERSION = 2
TYPES = {
    "format": str,
    "version": int,
    "kind": str,
    "hook_name": (str, NoneType),
    "base_hash": (str, NoneType),
    "d_model": (int, NoneType),
    "rank": (int, NoneType),
    "environment": (str, NoneType),
    **dict.fromkeys(("training", "card", "config", "parts", "tensors"), dict),
}
TENSOR = {"dtype": str, "shape": list, "trainable": bool}


@dataclass(frozen=True)
class Header:
    """What a file says about itself; ``print(inspect(path))`` shows it.

    Attributes:
        kind: class of what was saved.
        hook_name: hook point at which it acts; None for a decoder, which acts where it is told.
        base_hash: hash of the base model (:func:`model_hash`); None if it belongs to none.
        d_model: width of the stream; None if its parts have none, or differ.
        rank: rank of its controllers; None if they have none, or differ.
        environment: id of the environment it was made in.
        training: how it was trained.
        card: metrics measured when it was saved.
        config: constructor arguments that are no tensors.
        parts: kind, config and parts of what is inside, by attribute name.
        tensors: dtype, shape and whether it is a parameter, by name.
        format: name of the format.
        version: version of the format.

    Examples:
        >>> import torch
        >>> from irl_lens.hooks import VectorController
        >>> print(Header.of(VectorController(torch.ones(2), "hook_embed"), card={"nll": 0.5}))
        VectorController at hook_embed
          d_model      2
          card         nll 0.5
          tensors      v float32 [2]
    """

    kind: str
    hook_name: str | None
    base_hash: str | None
    d_model: int | None
    rank: int | None
    environment: str | None
    training: dict[str, Any]
    card: dict[str, Any]
    config: dict[str, Any]
    parts: dict[str, Any]
    tensors: dict[str, dict[str, Any]]
    format: str = FORMAT
    version: int = VERSION

    @classmethod
    def of(
        cls,
        part: Part,
        base_hash: str | None = None,
        environment: str | None = None,
        training: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> Header:
        """Returns the header of a part; the arguments are the attributes of these names.

        Examples:
            >>> import torch
            >>> from irl_lens.hooks import VectorController
            >>> Header.of(VectorController(torch.ones(2), "hook_embed"), "3f2a").base_hash
            '3f2a'
        """
        return cls(
            **_describe(part),
            hook_name=getattr(part, "hook_name", None),
            base_hash=base_hash,
            d_model=_common(part, "d_model"),
            rank=_common(part, "rank"),
            environment=environment,
            training=dict(training or {}),
            card=dict(card or {}),
            tensors=_tensors(part),
        )

    def to_json(self) -> str:
        """Returns the header as JSON, with null where a note is NaN or infinite.

        Raises:
            TypeError: the card, or what else it holds, is not JSON-able.
            ValueError: a number that the part is made of is not finite.

        Examples:
            >>> import torch
            >>> from irl_lens.hooks import VectorController
            >>> text = Header.of(VectorController(torch.ones(2), "hook_embed")).to_json()
            >>> Header.from_json(text).tensors["v"]["shape"]
            [2]
        """
        notes = {"training": finite(self.training), "card": finite(self.card)}
        try:
            return json.dumps(asdict(self) | notes, allow_nan=False)
        except ValueError as error:
            raise ValueError(
                f"a {self.kind} of {self.config}, {self.parts} holds a number that is not finite, "
                "which JSON has not; give it another"
            ) from error

    @classmethod
    def from_json(cls, text: str) -> Header:
        """Returns what :meth:`to_json` wrote.

        Raises:
            ValueError: another format or version, a field that is missing, unknown or of
                another type.

        Examples:
            >>> Header.from_json('{"format": "irl-lens intervention", "version": 1}')
            Traceback (most recent call last):
            ValueError: version 1 of the format; this irl-lens reads version 2
        """
        header = json.loads(text)
        found = header.get("format") if isinstance(header, dict) else None
        if found != FORMAT:
            raise ValueError(f"has the format {found!r}, not {FORMAT!r}; no saved intervention")
        if header.get("version") != VERSION:
            raise ValueError(
                f"version {header.get('version')!r} of the format; this irl-lens reads version "
                f"{VERSION}"
            )
        odd = sorted(header.keys() ^ {field.name for field in fields(cls)})
        if odd:
            raise ValueError(f"the header's fields {odd} are missing or unknown")
        for name, kind in TYPES.items():
            if not isinstance(header[name], kind):
                raise ValueError(f"the header's {name} is {header[name]!r}, of another type")
        for name, about in header["tensors"].items():
            if not isinstance(about, dict) or {k: type(v) for k, v in about.items()} != TENSOR:
                raise ValueError(f"the header's tensor {name} is {about!r}; it must hold {TENSOR}")
        return cls(**header)

    def __str__(self) -> str:
        where = f" at {self.hook_name}" if self.hook_name else ""
        lines = {
            "base model": self.base_hash,
            "d_model": self.d_model,
            "rank": self.rank,
            "environment": self.environment,
            "training": _list(self.training),
            "card": _list(self.card),
            "tensors": ", ".join(_tensor(name, about) for name, about in self.tensors.items()),
        }
        shown = (f"  {name:<12} {text}" for name, text in lines.items() if text not in (None, ""))
        return "\n".join([f"{self.kind}{where}", *shown])


def _describe(part: Part) -> dict[str, Any]:
    parts = {name: _describe(child) for name, child in part.parts().items()}
    return {"kind": type(part).__name__, "config": part.config(), "parts": parts}


def _common(part: Part, name: str) -> int | None:
    """Returns a size of the part, or of all parts in it that have one; None if they differ."""
    own = getattr(part, name, None)
    if isinstance(own, int):
        return own
    sizes = {_common(child, name) for child in part.parts().values()} - {None}
    return sizes.pop() if len(sizes) == 1 else None


def _tensors(part: Part) -> dict[str, dict[str, Any]]:
    trainable = {name for name, _ in part.named_parameters(remove_duplicate=False)}
    return {
        name: {
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "shape": list(tensor.shape),
            "trainable": name in trainable,
        }
        for name, tensor in part.state_dict().items()
    }


def _list(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _tensor(name: str, about: Mapping[str, Any]) -> str:
    return f"{name} {about['dtype']} {about['shape']}{' trainable' * about['trainable']}"
