"""What EVM chains give to the views over all families."""

from chainflow.datasets import _views
from chainflow.datasets.evm import SCHEMA

MEMBERS = (
    # ERC-20, ERC-721 and ERC-1155 mint from the zero address and burn to it: nobody's.
    _views.transfers(SCHEMA, "block_number", nobody="0x" + 40 * "0"),
    _views.cctp_messages(SCHEMA, "block_number"),
)
