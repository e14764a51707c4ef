"""A real EVM node on loopback: anvil, from the npm package @foundry-rs/anvil.

    with anvil.start(chain_id=1337) as node:
        token = node.deploy_token()
        node.transfer(token, 5)
        node.mine(3)
        node.reorg(2)

Every transaction is mined into a block of its own at once, unless started with `--no-mining`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from chainflow.testing import node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# transfer(address,uint256) that keeps no balances: it logs Transfer(caller, to, value) and returns
# true. Any other selector does the same; there is nothing else to call.
_RUNTIME = (
    "60243560005260043533"  # mem[0] = value; stack: to, caller
    "7fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"  # Transfer's topic
    "60206000a3"  # LOG3 over mem[0:32]
    "600160005260206000f3"  # return true
)
# Copies what follows its own 12 bytes into memory and returns it as the contract's code.
_DEPLOY = f"0x60{len(_RUNTIME) // 2:02x}600c60003960{len(_RUNTIME) // 2:02x}6000f3{_RUNTIME}"
_TRANSFER = "0xa9059cbb"


@dataclass(frozen=True, slots=True)
class Anvil(node.Node):
    """A running anvil and what tests do to it; all its funded accounts are unlocked."""

    def head(self) -> int:
        """Its newest height."""
        return int(self.call("eth_blockNumber"), 16)

    def account(self, index: int = 0) -> str:
        """Address of one of its ten funded accounts."""
        return str(self.call("eth_accounts")[index])

    def mine(self, blocks: int = 1) -> int:
        """Mine that many blocks, one second apart; the new head."""
        self.call("anvil_mine", hex(blocks), hex(1))
        return self.head()

    def send(self, to: str | None, *, value: int = 0, data: str = "0x", account: int = 0) -> str:
        """Send a transaction; its hash. `to` None creates a contract.

        An anvil that mines by itself does so a moment after it has answered: that is waited for.
        """
        request = {"from": self.account(account), "value": hex(value), "data": data}
        sent = str(
            self.call("eth_sendTransaction", request if to is None else {**request, "to": to})
        )
        if self.call("anvil_getAutomine"):
            _until_mined(self.call, "eth_getTransactionReceipt", sent)
        return sent

    def deploy_token(self) -> str:
        """Address of a new contract that logs an ERC-20 Transfer whenever called; mined."""
        created = self.send(None, data=_DEPLOY)
        receipt = self.call("eth_getTransactionReceipt", created)
        if receipt is None:
            self.mine()
            receipt = self.call("eth_getTransactionReceipt", created)
        return str(receipt["contractAddress"])

    def transfer(self, token: str, value: int, *, to: str | None = None, account: int = 0) -> str:
        """Hash of a call that logs a Transfer of `value`, by default to account 1."""
        data = _transfer(to or self.account(1), value)
        return self.send(token, data=data, account=account)

    def reorg(self, depth: int, *, token: str | None = None, value: int = 1) -> None:
        """Replace the newest `depth` blocks by as many others.

        They are empty, or with a token given each has a transfer of `value`.
        """
        sent = {"from": self.account(), "to": token, "data": _transfer(self.account(1), value)}
        others = [] if token is None else [[sent, block] for block in range(depth)]
        self.call("anvil_reorg", depth, others)


def _transfer(receiver: str, value: int) -> str:
    return f"{_TRANSFER}{receiver.removeprefix('0x').rjust(64, '0')}{value:064x}"


_until_mined = Retrying(
    retry=retry_if_result(lambda receipt: receipt is None),
    wait=wait_fixed(0.02),
    stop=stop_after_delay(10),
)


def find() -> Path | None:
    """Launcher of anvil, or None where npm did not install it."""
    return node.find("anvil")


@contextmanager
def start(*arguments: str, chain_id: int = 31337, slots_in_an_epoch: int = 2) -> Iterator[Anvil]:
    """A fresh anvil on a free port, stopped on leaving.

    With the default epoch, `finalized` is four blocks below the head.

    Args:
        arguments: More of anvil's own options, such as `--no-mining`.
        chain_id: What it calls itself.
        slots_in_an_epoch: Half the distance from head to finalized.

    Raises:
        NodeError: It is not installed, or did not start.
    """
    launcher = find()
    if launcher is None:
        raise node.NodeError("anvil is not installed: npm install @foundry-rs/anvil")
    command: list[str | Path] = [
        launcher,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--chain-id",
        str(chain_id),
    ]
    command += ["--slots-in-an-epoch", str(slots_in_an_epoch), *arguments]
    with node.running(command) as running:
        yield Anvil(port=running.port, pid=running.pid)
