"""The whole of chains.yaml as its JSON Schema has it; no reader of a registry needs this."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from chainflow._entry import NAME, Entry, closed, partial


class File(BaseModel):
    """What chains share, and one entry per chain. Of several files the later win key by key."""

    model_config = ConfigDict(extra="forbid", title="chains.yaml")

    defaults: Annotated[
        Entry,
        Field(
            description="What holds for every chain whose entry does not say otherwise.",
            json_schema_extra=partial,
        ),
    ] = Entry()
    chains: Annotated[
        dict[Annotated[str, StringConstraints(pattern=f"^{NAME}$")], Entry],
        Field(
            description="One entry per chain, under its name, which is its schema's name, too.",
            json_schema_extra=closed,
        ),
    ] = {}
