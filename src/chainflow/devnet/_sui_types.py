"""Sui's types, as `_sui_bcs` describes types.

Names are those of Sui's own structs, or of its JSON. Kinds and errors that are neither made up nor
recorded only hold their places.

Source: the ABNF in MystenLabs/sui-rust-sdk, crates/sui-sdk-types; sui-types (transaction.rs,
effects/object_change.rs, base_types.rs).
"""

from __future__ import annotations

from chainflow.devnet._sui_bcs import STRUCT_TAG, Type, enum, option, struct, vec

GAS = struct(
    computation_cost="u64",
    storage_cost="u64",
    storage_rebate="u64",
    non_refundable_storage_fee="u64",
)
COMMITMENT = enum(ECMHLiveObjectSetDigest="digest", CheckpointArtifactsDigest="digest")
SUMMARY = struct(
    epoch="u64",
    sequence_number="u64",
    network_total_transactions="u64",
    content_digest="digest",
    previous_digest=option("digest"),
    epoch_rolling_gas_cost_summary=GAS,
    timestamp_ms="u64",
    checkpoint_commitments=vec(COMMITMENT),
    end_of_epoch_data=option(
        struct(
            next_epoch_committee=vec(struct(public_key="bytes", stake="u64")),
            next_epoch_protocol_version="u64",
            epoch_commitments=vec(COMMITMENT),
        )
    ),
    version_specific_data="bytes",
)
EXECUTION_DIGESTS = struct(transaction="digest", effects="digest")
CONTENTS = enum(
    V1=struct(transactions=vec(EXECUTION_DIGESTS), user_signatures=vec(vec("bytes"))),
    V2=vec(
        struct(
            digest=EXECUTION_DIGESTS,
            user_signatures=vec(struct(signature="bytes", alias=option("u64"))),
        )
    ),
)
OWNER = enum(
    AddressOwner="address",
    ObjectOwner="address",
    Shared=struct(initial_shared_version="u64"),
    Immutable=None,
    ConsensusAddressOwner=struct(start_version="u64", owner="address"),
)
OBJECT_REF = struct(objectId="address", version="u64", digest="digest")
_PAIR = struct(first="u16", second="u16")
_ARGUMENT = enum(GasCoin=None, Input="u16", Result="u16", NestedResult=_PAIR)
_COMMAND = enum(
    MoveCall=struct(
        package="address",
        module="text",
        function="text",
        type_arguments=vec("type"),
        arguments=vec(_ARGUMENT),
    ),
    TransferObjects=struct(objects=vec(_ARGUMENT), address=_ARGUMENT),
    SplitCoins=struct(coin=_ARGUMENT, amounts=vec(_ARGUMENT)),
    MergeCoins=struct(coin=_ARGUMENT, coins=vec(_ARGUMENT)),
    Publish=struct(modules=vec("bytes"), dependencies=vec("address")),
    MakeMoveVec=struct(type=option("type"), elements=vec(_ARGUMENT)),
    Upgrade=struct(
        modules=vec("bytes"), dependencies=vec("address"), package="address", ticket=_ARGUMENT
    ),
)
_WITHDRAWAL = struct(
    reservation=enum(MaxAmountU64="u64"),
    type_arg=enum(Balance="type"),
    withdraw_from=enum(
        Sender=None, Sponsor=None, SenderAllowance=struct(funder="address", allowance="address")
    ),
)
_INPUT = enum(
    Pure="bytes",
    Object=enum(
        ImmOrOwnedObject=OBJECT_REF,
        SharedObject=struct(objectId="address", initial_shared_version="u64", mutability="u8"),
        Receiving=OBJECT_REF,
    ),
    FundsWithdrawal=_WITHDRAWAL,
)
PROGRAMMABLE = struct(inputs=vec(_INPUT), commands=vec(_COMMAND))
_PROLOGUE = struct(
    epoch="u64",
    round="u64",
    sub_dag_index=option("u64"),
    commit_timestamp_ms="u64",
    consensus_commit_digest="digest",
    assignments=enum(
        CancelledTransactions=vec(
            struct(digest="digest", versions=vec(struct(object="address", version="u64")))
        ),
        CancelledTransactionsV2=vec(
            struct(
                digest="digest",
                versions=vec(struct(object="address", start_version="u64", version="u64")),
            )
        ),
    ),
    additional_state_digest="digest",
)
_WINDOW: dict[str, Type] = {
    "min_epoch": option("u64"),
    "max_epoch": option("u64"),
    "min_timestamp": option("u64"),
    "max_timestamp": option("u64"),
    "chain": "digest",
    "nonce": "u32",
}
TRANSACTION = enum(
    V1=struct(
        kind=enum(
            ProgrammableTransaction=PROGRAMMABLE,
            ChangeEpoch=None,
            Genesis=None,
            ConsensusCommitPrologue=struct(epoch="u64", round="u64", commit_timestamp_ms="u64"),
            AuthenticatorStateUpdate=None,
            EndOfEpochTransaction=None,
            RandomnessStateUpdate=struct(
                epoch="u64", round="u64", random_bytes="bytes", initial_shared_version="u64"
            ),
            ConsensusCommitPrologueV2=None,
            ConsensusCommitPrologueV3=None,
            ConsensusCommitPrologueV4=_PROLOGUE,
            ProgrammableSystemTransaction=PROGRAMMABLE,
        ),
        sender="address",
        gas_data=struct(payment=vec(OBJECT_REF), owner="address", price="u64", budget="u64"),
        expiration=enum(
            none=None,
            Epoch="u64",
            ValidDuring=struct(**_WINDOW),
            Validity=struct(
                **_WINDOW, allowed_proposers=option(struct(epoch="u64", proposers=vec("u32")))
            ),
        ),
    )
)
_LOCATION = struct(
    package="address",
    module="text",
    function="u16",
    instruction="u16",
    function_name=option("text"),
)
_ERROR = enum(
    InsufficientGas=None,
    **{f"_{place}": None for place in range(1, 12)},
    MoveAbort=struct(location=_LOCATION, code="u64"),
    **{f"_{place}": None for place in range(13, 19)},
    CommandArgumentError=struct(argument="u16", kind=enum(TypeMismatch=None)),
    **{f"_{place}": None for place in range(20, 33)},
    ExecutionCancelledDueToSharedObjectCongestion=vec("address"),
    **{f"_{place}": None for place in range(34, 99)},
    Unknown99=struct(some="u64", more="text"),
)
STATUS = enum(Success=None, Failure=struct(error=_ERROR, command=option("u64")))
_OWNED_REF = struct(reference=OBJECT_REF, owner=OWNER)
_VERSION_DIGEST = struct(version="u64", digest="digest")
_CHANGE = struct(
    objectId="address",
    input_state=enum(NotExist=None, Exist=struct(**dict(_VERSION_DIGEST.parts), owner=OWNER)),
    output_state=enum(
        NotExist=None,
        ObjectWrite=struct(digest="digest", owner=OWNER),
        PackageWrite=_VERSION_DIGEST,
        AccumulatorWriteV1=struct(
            address="address",
            type="type",
            operation=enum(Merge=None, Split=None),
            value=enum(
                Integer="u64",
                IntegerTuple=struct(first="u64", second="u64"),
                EventDigest=vec(struct(index="u64", digest="digest")),
            ),
        ),
    ),
    id_operation=enum(none=None, Created=None, Deleted=None),
)
EFFECTS = enum(
    V1=struct(
        status=STATUS,
        executedEpoch="u64",
        gasUsed=GAS,
        modifiedAtVersions=vec(struct(objectId="address", sequenceNumber="u64")),
        sharedObjects=vec(OBJECT_REF),
        transactionDigest="digest",
        created=vec(_OWNED_REF),
        mutated=vec(_OWNED_REF),
        unwrapped=vec(_OWNED_REF),
        deleted=vec(OBJECT_REF),
        unwrappedThenDeleted=vec(OBJECT_REF),
        wrapped=vec(OBJECT_REF),
        gasObject=_OWNED_REF,
        eventsDigest=option("digest"),
        dependencies=vec("digest"),
    ),
    V2=struct(
        status=STATUS,
        executed_epoch="u64",
        gas_used=GAS,
        transaction_digest="digest",
        gas_object_index=option("u32"),
        events_digest=option("digest"),
        dependencies=vec("digest"),
        lamport_version="u64",
        changed_objects=vec(_CHANGE),
        unchanged_consensus_objects=vec(
            struct(
                objectId="address",
                kind=enum(
                    ReadOnlyRoot=_VERSION_DIGEST,
                    MutateConsensusStreamEnded="u64",
                    ReadConsensusStreamEnded="u64",
                    Cancelled="u64",
                    PerEpochConfig=None,
                    PerEpochConfigWithSequenceNumber="u64",
                ),
            )
        ),
        aux_data_digest=option("digest"),
    ),
)
EVENTS = vec(
    struct(package_id="address", module="text", sender="address", type=STRUCT_TAG, contents="bytes")
)
OBJECT = struct(
    data=enum(
        Move=struct(
            type=enum(
                Other=STRUCT_TAG,
                GasCoin=None,
                StakedSui=None,
                Coin="type",
                SuiBalanceAccumulatorField=None,
                BalanceAccumulatorField="type",
            ),
            has_public_transfer="bool",
            version="u64",
            contents="bytes",
        ),
        Package=struct(
            id="address",
            version="u64",
            modules=vec(struct(name="text", code="bytes")),
            type_origins=vec(struct(module="text", name="text", package="address")),
            linkage=vec(struct(id="address", upgraded="address", version="u64")),
        ),
    ),
    owner=OWNER,
    previous_transaction="digest",
    storage_rebate="u64",
)
