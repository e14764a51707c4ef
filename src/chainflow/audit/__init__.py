"""Proof of what is stored, and reading again what fails it.

What is merged must have no gap (`_gaps`). A range is looked at in parts, so memory stays flat: SQL
recounts and links the rows (`checks`) and counts each merged slice again (`_recounted`), what
follows from other rows is made of them once more (`_derived`), and the family's file in this folder
hashes again what its columns allow. What none of these can tell, the chain's node can (`_node`).
"""

from __future__ import annotations

from chainflow.audit._look import Look, audit, looks, merged, told
from chainflow.audit._mended import repair
from chainflow.audit._rehashed import left_out
from chainflow.audit._rounds import divided, overdue, share

__all__ = [
    "Look",
    "audit",
    "divided",
    "left_out",
    "looks",
    "merged",
    "overdue",
    "repair",
    "share",
    "told",
]
