"""What Tron networks give to the views over all families."""

from chainflow.datasets import _views
from chainflow.datasets.tron import SCHEMA, _address

MEMBERS = (
    # TRC-20 and TRC-721 mint from the zero address and burn to it: nobody's.
    _views.transfers(SCHEMA, "block_number", nobody=_address.of_log(40 * "0")),
)
