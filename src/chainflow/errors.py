"""Every error chainflow raises.

    ChainflowError
      InputError            exit 2: the operator's words are wrong
        RegistryError         chains.yaml, with every finding
        UnknownChain
        UnknownConnection     no Airflow connection of that id
      WorkError             exit 1: the work failed
        TransientError        worth a retry
          NodeUnavailable       no endpoint answered in time
            RateLimited
          NotYet                the node does not have that height yet
          Unlinked              a block is of another branch than the merged ones beside it
          StoreUnavailable      PostgreSQL does not answer
            StoreBusy             it did not get to it within its time limits
        TerminalError         a person must look
          AnswerTooLarge        halve what was asked for; terminal only at one block
          WrongChain            the node serves another chain
          MalformedAnswer       a node's answer contradicts itself or misses a field
          Unsupported           the node lacks what the chain needs
          RequestRefused        the node refuses us: its key, its plan, or what was asked
          HeightPruned          the node has dropped that height
          ReorgDetected         the chain replaced merged blocks that were final, or too many
          CheckFailed           rows failed a check; nothing was merged
          RowsRefused           a table's own constraints refuse rows; nothing was merged
          NameTaken             another chain's rows stand under the entry's name
          DamageFound           merged rows are not what they were when they were merged
          StoreOutdated         run `chainflow db upgrade`

The message names chain, range or height, what was expected, what came, and what to do. It never
holds a URL: an endpoint is named by its host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.types import BlockRange, Finding


class ChainflowError(Exception):
    """Anything chainflow raises on purpose."""


class InputError(ChainflowError):
    """What the operator gave is wrong: a file, an argument, a variable."""


class RegistryError(InputError):
    """One registry is wrong in one or more places; `problems` holds a line for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class UnknownChain(InputError):
    """The registry has no chain of that name."""


class UnknownConnection(InputError):
    """There is no Airflow connection of that id; outside Airflow, its variable is not set."""


class WorkError(ChainflowError):
    """The input was right and the work failed."""


class TransientError(WorkError):
    """Doing the same again later may work."""


class NodeUnavailable(TransientError):
    """No endpoint of the chain gave a usable answer within its time."""


class RateLimited(NodeUnavailable):
    """The provider refused for now; `retry_after_seconds` is its own wish, if it told one."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NotYet(TransientError):
    """The node answered null for a height that should exist by now."""


class Unlinked(TransientError):
    """A block is of another branch than the merged ones beside it, and none is called final."""


class StoreUnavailable(TransientError):
    """PostgreSQL does not answer, or broke the connection in mid-work."""


class StoreBusy(StoreUnavailable):
    """PostgreSQL stopped a statement, or it waited for a lock as long as it may."""


class TerminalError(WorkError):
    """Trying again changes nothing: a person must look."""


class AnswerTooLarge(TerminalError):
    """The node refuses, or we refuse, an answer of that size; ask for less."""


class WrongChain(TerminalError):
    """The endpoint serves another chain than the registry says."""


class MalformedAnswer(TerminalError):
    """The answer lacks a field, has one of the wrong type, or contradicts itself."""


class Unsupported(TerminalError):
    """The endpoint does not have a method or tag that the chain's entry asks for."""


class RequestRefused(TerminalError):
    """The endpoint refuses what was asked as invalid, or refuses us: key, plan, address."""


class HeightPruned(TerminalError):
    """The endpoint has dropped the height; an archive node is needed."""


class ReorgDetected(TerminalError):
    """The chain replaced merged blocks that it had called final, or more than are allowed."""


class CheckFailed(TerminalError):
    """Rows failed checks; nothing was merged, they are kept in staging tables."""

    def __init__(self, chain: str, blocks: BlockRange, findings: Sequence[Finding]) -> None:
        lines = "; ".join(
            f"{f.check}: {f.count} failing, e.g. {f.sample}; kept in {f.table}" for f in findings
        )
        super().__init__(f"{chain} {blocks}: nothing merged: {lines}")
        self.chain = chain
        self.blocks = blocks
        self.findings = tuple(findings)


class RowsRefused(TerminalError):
    """Rows are not of their range, or break a constraint of their table; nothing was merged."""


class NameTaken(TerminalError):
    """What is merged under an entry's name is of another family or chain id."""


class DamageFound(TerminalError):
    """An audit found merged rows that are lost, doubled or changed."""


class StoreOutdated(TerminalError):
    """The store's control schema is not the one this release works with."""
