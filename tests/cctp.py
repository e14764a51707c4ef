"""Transfers of CCTP for tests, as each family's nodes tell of them; built by hand, bytes by bytes.

No recording here holds one. The layout of messages and events is that of circlefin's contracts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests import evm
from tests.evm import Json

BURN_V1 = "0x2fa9ca894982930190727e75500a97d8dc500233a5065e0f3126c48fbe0343c0"
BURN_V2 = "0x0c8c1cbdc5190613ebd485511d4e2812cfa45eecb79d845893331fedad5130a5"
MINT_V1 = "0x1b2a7ff080b8cb6ff436ce0372e399692bbfb6d4ae5766fd8d58a7b8cc6142e6"
MINT_V2 = "0x50c55e915134d457debfa58eb6f4342956f8b0616d51a89a3659360178e1ab63"
SENT = "0x8c5261668696ce22758910d05bab8f186d6eb247ceac2af2e82c7dc17669b036"
RECEIVED_V1 = "0x58200b4c34ae05ee816d710053fff3fb75af4395915d3d2a771b24aa10e3cc5d"
RECEIVED_V2 = "0xff48c13eda96b1cceacc6b9edeedc9e9db9d6226afbc30146b720c19d3addb1c"
MESSENGER_V2 = "0x28b5a0e9c621a5badaa536219b3a228c8168cf5d"
TRANSMITTER_V2 = "0x81d40f21f12a8f0e3252bccb954d722d4c464b64"
CALLER = "0x" + "ca" * 20


@dataclass(frozen=True)
class Transfer:
    """One transfer; addresses are hex, 20 or 32 bytes.

    `messengers` and `transmitters` are the contracts on the source and the destination.
    """

    version: int
    nonce: int
    source: int = 0
    destination: int = 6
    burn_token: str = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
    mint_token: str = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"
    depositor: str = "0x" + "d0" * 20
    recipient: str = "0x" + "1e" * 20
    amount: int = 5_000_000
    max_fee: int = 700
    fee: int = 500
    expiration: int = 21_000_999
    hook: bytes = b""
    caller: str = "0x" + "00" * 32
    finality: int = 1000
    messengers: tuple[str, str] = (MESSENGER_V2, MESSENGER_V2)
    transmitters: tuple[str, str] = (TRANSMITTER_V2, TRANSMITTER_V2)


V1 = Transfer(
    version=1,
    nonce=90_210,
    max_fee=0,
    fee=0,
    expiration=0,
    messengers=(
        "0xbd3fa81b58ba92a82136038b25adec7066af3155",
        "0x1682ae6375c4e4a97e4b583bc394c861a46d8962",
    ),
    transmitters=(
        "0x0a992d191deec32afe36203ad87d7d289a738f81",
        "0xad09780d193884d503182ad4588450c416d6f9d4",
    ),
)
V2 = Transfer(version=2, nonce=int("9f" * 32, 16), hook=b"then do this")
"""Both from ethereum to base, by Circle's own contracts there."""


def b32(address: str) -> bytes:
    """An address as 32 bytes."""
    return bytes.fromhex(address[2:]).rjust(32, b"\0")


def u256(number: int) -> bytes:
    """A number as 32 bytes."""
    return number.to_bytes(32, "big")


def u32(number: int) -> bytes:
    """A number as 4 bytes."""
    return number.to_bytes(4, "big")


def body(t: Transfer, *, attested: bool) -> bytes:
    """The burn message; once attested, version 2's fee and expiry are filled in."""
    alike = b32(t.burn_token) + b32(t.recipient) + u256(t.amount) + b32(t.depositor)
    if t.version == 1:
        return u32(0) + alike
    filled = u256(t.fee) + u256(t.expiration) if attested else bytes(64)
    return u32(1) + alike + u256(t.max_fee) + filled + t.hook


def message(t: Transfer) -> bytes:
    """The message as the source chain emits it: version 2 has no nonce yet."""
    first = t.version == 1
    return b"".join(
        (
            u32(t.version - 1),
            u32(t.source),
            u32(t.destination),
            t.nonce.to_bytes(8, "big") if first else bytes(32),
            b32(t.messengers[0]),
            b32(t.messengers[1]),
            b32(t.caller),
            b"" if first else u32(t.finality) + u32(0),
            body(t, attested=False),
        )
    )


def evm_burn(t: Transfer, index: int = 0) -> list[Json]:
    """The two logs of a burn, `index` the first one's."""
    words = [u256(t.amount), b32(t.recipient), u256(t.destination)]
    words += [b32(t.messengers[1]), b32(t.caller)]
    if t.version == 1:
        topics = [BURN_V1, _hex(u256(t.nonce)), _hex(b32(t.burn_token)), _hex(b32(t.depositor))]
    else:
        topics = [BURN_V2, _hex(b32(t.burn_token)), _hex(b32(t.depositor)), _hex(u256(t.finality))]
        words += [u256(t.max_fee), u256(7 * 32), dynamic(t.hook)]
    return [
        evm.log(index, SENT, data=_hex(u256(32) + dynamic(message(t))), address=t.transmitters[0]),
        evm.log(index + 1, *topics, data=_hex(b"".join(words)), address=t.messengers[0]),
    ]


def evm_mint(t: Transfer, index: int = 0) -> list[Json]:
    """The two logs of a mint, `index` the first one's."""
    first = t.version == 1
    parties = (_hex(b32(t.recipient)), _hex(b32(t.mint_token)))
    amounts = u256(t.amount) if first else u256(t.amount - t.fee) + u256(t.fee)
    received = [_hex(b32(CALLER)), _hex(u256(t.nonce))]
    if not first:
        received.append(_hex(u256(t.finality)))
    data = u256(t.source) + b32(t.messengers[0]) + u256(96) + dynamic(body(t, attested=True))
    return [
        evm.log(
            index,
            MINT_V1 if first else MINT_V2,
            *parties,
            data=_hex(amounts),
            address=t.messengers[1],
        ),
        evm.log(
            index + 1,
            RECEIVED_V1 if first else RECEIVED_V2,
            *received,
            data=_hex(data),
            address=t.transmitters[1],
        ),
    ]


def dynamic(raw: bytes) -> bytes:
    """ABI bytes: length and padded content."""
    return u256(len(raw)) + raw.ljust(-(-len(raw) // 32) * 32, b"\0")


def again(t: Transfer, nonce: int) -> Transfer:
    """The same transfer once more, which Circle gives another nonce."""
    return replace(t, nonce=nonce)


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()
