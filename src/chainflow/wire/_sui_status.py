"""How a transaction ended: success, or which error with what details.

Source: ABNF `execution-status` in MystenLabs/sui-rust-sdk, execution_status.rs; the names are those
of Sui's own enum, sui-types/src/execution_status.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chainflow.errors import MalformedAnswer
from chainflow.wire._sui_bcs import hexadecimal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chainflow.wire._sui_bcs import Reader

    Fields = Sequence[tuple[str, str]]

_SIZES: Fields = (("object_size", "u64"), ("max_object_size", "u64"))
_SCALED: Fields = (("value_size", "u64"), ("max_scaled_size", "u64"))
_ERRORS: tuple[tuple[str, Fields], ...] = (
    ("InsufficientGas", ()),
    ("InvalidGasObject", ()),
    ("InvariantViolation", ()),
    ("FeatureNotYetSupported", ()),
    ("MoveObjectTooBig", _SIZES),
    ("MovePackageTooBig", _SIZES),
    ("CircularObjectOwnership", (("object", "address"),)),
    ("InsufficientCoinBalance", ()),
    ("CoinBalanceOverflow", ()),
    ("PublishErrorNonZeroAddress", ()),
    ("SuiMoveVerificationError", ()),
    ("MovePrimitiveRuntimeError", (("location", "optional location"),)),
    ("MoveAbort", (("location", "location"), ("code", "u64"))),
    ("VMVerificationOrDeserializationError", ()),
    ("VMInvariantViolation", ()),
    ("FunctionNotFound", ()),
    ("ArityMismatch", ()),
    ("TypeArityMismatch", ()),
    ("NonEntryFunctionInvoked", ()),
    ("CommandArgumentError", (("argument", "u16"), ("kind", "argument error"))),
    ("TypeArgumentError", (("argument", "u16"), ("kind", "type error"))),
    ("UnusedValueWithoutDrop", (("result", "u16"), ("subresult", "u16"))),
    ("InvalidPublicFunctionReturnType", (("index", "u16"),)),
    ("InvalidTransferObject", ()),
    ("EffectsTooLarge", (("current_size", "u64"), ("max_size", "u64"))),
    ("PublishUpgradeMissingDependency", ()),
    ("PublishUpgradeDependencyDowngrade", ()),
    ("PackageUpgradeError", (("kind", "upgrade error"),)),
    ("WrittenObjectsTooLarge", _SIZES),
    ("CertificateDenied", ()),
    ("SuiMoveVerificationTimedout", ()),
    ("SharedObjectOperationNotAllowed", ()),
    ("InputObjectDeleted", ()),
    ("ExecutionCancelledDueToSharedObjectCongestion", (("congested_objects", "addresses"),)),
    ("AddressDeniedForCoin", (("address", "address"), ("coin_type", "text"))),
    ("CoinTypeGlobalPause", (("coin_type", "text"),)),
    ("ExecutionCancelledDueToRandomnessUnavailable", ()),
    ("MoveVectorElemTooBig", _SCALED),
    ("MoveRawValueTooBig", _SCALED),
    ("InvalidLinkage", ()),
    ("InsufficientFundsForWithdraw", ()),
    ("NonExclusiveWriteInputObjectModified", (("object", "address"),)),
)
_ARGUMENT_ERRORS: tuple[tuple[str, Fields], ...] = (
    ("TypeMismatch", ()),
    ("InvalidBCSBytes", ()),
    ("InvalidUsageOfPureArg", ()),
    ("InvalidArgumentToPrivateEntryFunction", ()),
    ("IndexOutOfBounds", (("index", "u16"),)),
    ("SecondaryIndexOutOfBounds", (("result", "u16"), ("subresult", "u16"))),
    ("InvalidResultArity", (("result", "u16"),)),
    ("InvalidGasCoinUsage", ()),
    ("InvalidValueUsage", ()),
    ("InvalidObjectByValue", ()),
    ("InvalidObjectByMutRef", ()),
    ("SharedObjectOperationNotAllowed", ()),
    ("InvalidArgumentArity", ()),
)
_TYPE_ERRORS: tuple[tuple[str, Fields], ...] = (
    ("TypeNotFound", ()),
    ("ConstraintNotSatisfied", ()),
)
_UPGRADE_ERRORS: tuple[tuple[str, Fields], ...] = (
    ("UnableToFetchPackage", (("package", "address"),)),
    ("NotAPackage", (("object", "address"),)),
    ("IncompatibleUpgrade", ()),
    ("DigestDoesNotMatch", (("digest", "octets"),)),
    ("UnknownUpgradePolicy", (("policy", "u8"),)),
    ("PackageIDDoesNotMatch", (("package", "address"), ("ticket", "address"))),
)


class Status(msgspec.Struct, frozen=True, gc=False):
    """How a transaction ended. `error` holds an error's fields; `command` is the one it befell."""

    success: bool
    kind: str | None = None
    error: dict[str, Any] | None = None
    command: int | None = None


SUCCESS = Status(success=True)


class _UnknownError(Exception):
    """A variant that is newer than these tables; its size cannot be told."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def status(reader: Reader, end: Callable[[], int]) -> Status:
    """The status that stands here.

    Args:
        reader: At the status.
        end: Where it ends, found by what follows it; asked only for an error not known here, whose
            bytes are then kept unread.
    """
    flag = reader.length()
    if flag == 0:
        return SUCCESS
    if flag != 1:
        raise MalformedAnswer(f"expected an execution status, got variant {flag}")
    began = reader.at
    try:
        name, fields = _read(reader, "error", _ERRORS)
    except _UnknownError as unknown:
        reader.at = began
        raw = reader.take(end() - began)
        return Status(False, unknown.name, {"bcs": hexadecimal(raw)})
    command = reader.u64() if reader.option() else None
    return Status(False, name, fields or None, command)


def _read(
    reader: Reader, what: str, table: Sequence[tuple[str, Fields]]
) -> tuple[str, dict[str, Any]]:
    variant = reader.length()
    if variant >= len(table):
        raise _UnknownError(f"Unknown{variant}" if what == "error" else f"Unknown {what} {variant}")
    name, fields = table[variant]
    return name, {field: _VALUES[kind](reader) for field, kind in fields}


def _nested(reader: Reader, what: str, table: Sequence[tuple[str, Fields]]) -> Any:  # noqa: ANN401 - JSON
    """An enum inside an error: its name, with its fields where it has some."""
    name, fields = _read(reader, what, table)
    return {name: fields} if fields else name


def _location(reader: Reader) -> dict[str, Any]:
    """Where in Move's bytecode it happened."""
    return {
        "package": reader.address(),
        "module": reader.text(),
        "function": reader.number(2),
        "instruction": reader.number(2),
        "function_name": reader.text() if reader.option() else None,
    }


_VALUES: dict[str, Callable[[Reader], Any]] = {
    "u8": lambda reader: reader.number(1),
    "u16": lambda reader: reader.number(2),
    "u64": lambda reader: reader.u64(),
    "address": lambda reader: reader.address(),
    "addresses": lambda reader: [reader.address() for _ in range(reader.length())],
    "octets": lambda reader: hexadecimal(reader.octets()),
    "text": lambda reader: reader.text(),
    "location": _location,
    "optional location": lambda reader: _location(reader) if reader.option() else None,
    "argument error": lambda reader: _nested(reader, "argument error", _ARGUMENT_ERRORS),
    "type error": lambda reader: _nested(reader, "type error", _TYPE_ERRORS),
    "upgrade error": lambda reader: _nested(reader, "upgrade error", _UPGRADE_ERRORS),
}
