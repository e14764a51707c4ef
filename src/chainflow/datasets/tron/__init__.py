"""Tables of Tron networks; addresses stand in base58 (`T...`), as wallets and explorers have them.

`_address.hexadecimal` and `_address.base58` turn one form into the other.
"""

SCHEMA = "tron_family"
