"""Rows of recorded blocks hash again to what the chain said, whatever its form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from chainflow import datasets, lookup
from chainflow.audit import _rehashed, cosmos, evm, left_out, sui, tron
from chainflow.devnet import _sui_bcs as bcs
from chainflow.devnet import _sui_types as types
from chainflow.types import BlockRange, Chain, RawBlock
from chainflow.wire import _sui_messages as messages
from chainflow.wire import _sui_written as written
from chainflow.wire._sui_bcs import Reader
from tests import cosmos as cosmos_blocks
from tests import cosmos_node, small
from tests import evm as evm_blocks
from tests import sui as sui_blocks
from tests import tron as tron_blocks
from tests.unit.test_clients_evm_proof import CHAIN_IDS


def reader(family: str, blocks: Sequence[RawBlock], names: Sequence[str]) -> _rehashed.Read:
    """Reads the rows that the blocks decode to."""
    kept = {d.name: _rehashed.plain(d, d.decode(blocks)) for d in datasets.get(family, names)}

    def read(name: str, wanted: BlockRange) -> list[_rehashed.Row] | None:
        if name not in kept:
            return None
        height = datasets.get(family, ["blocks"])[0].height_column
        return [row for row in kept[name] if row[height] in wanted]

    return read


def failing(again: _rehashed.Again, read: _rehashed.Read, height: int) -> list[tuple[int, str]]:
    """What is wrong at a height."""
    return list(again(read, BlockRange(height, height + 1)))


EVM = ("blocks", "transactions", "logs", "withdrawals")
RECORDED = [one for one in evm_blocks.recordings() if one.receipts is None or one.complete]


@pytest.mark.parametrize("one", RECORDED, ids=str)
def test_rows_of_a_recorded_evm_block_hash_again(one: evm_blocks.Recorded) -> None:
    """Of every chain and fork recorded, the rows are enough to prove the block once more."""
    chain = Chain(one.chain, "evm", CHAIN_IDS[one.chain], 60.0)
    raw = one.raw()
    names = EVM if one.complete else ("blocks", "withdrawals")
    assert failing(evm.rehash(chain), reader("evm", [raw], names), raw.height) == []


@pytest.mark.parametrize(("column", "cell"), [("topic1", "0x12"), ("address", "0x")])
def test_a_logs_word_of_another_size_is_told(column: str, cell: str) -> None:
    """What the hash takes for granted of a node's log, a table's row may have lost."""
    raw = evm_blocks.recorded("ethereum", 13998626).raw()
    read = reader("evm", [raw], EVM)
    row = next(row for row in read("logs", BlockRange(0, 10**9)) or () if row["topic1"])
    log = {**row, column: cell}

    def damaged(name: str, wanted: BlockRange) -> list[_rehashed.Row] | None:
        return [log] if name == "logs" else read(name, wanted)

    chain = Chain("ethereum", "evm", 1, 5.0)
    told = f"log {log['log_index']}: the address or a topic is not of its size"
    assert failing(evm.rehash(chain), damaged, raw.height) == [(raw.height, told)]


@pytest.mark.parametrize("names", [("blocks",), ("blocks", "transactions"), ("blocks", "logs")])
def test_tables_that_are_not_kept_are_not_missed(names: Sequence[str]) -> None:
    """Of a chain with few datasets as much is proven as they hold."""
    raw = evm_blocks.recorded("ethereum", 13998626).raw()
    chain = Chain("ethereum", "evm", 1, 5.0, datasets=tuple(names))
    assert failing(evm.rehash(chain), reader("evm", [raw], names), raw.height) == []
    assert "receipts and logs" in left_out(chain)


def test_left_out_says_what_and_why() -> None:
    """A person reads which parts nothing proves, or that nothing is proven at all."""
    chain = Chain("fantom", "evm", 250, 60.0, datasets=EVM)
    assert "header: an Opera block's hash" in left_out(chain)
    assert "transactions and receipts" in left_out(replace(chain, verify="hashes"))
    assert left_out(replace(chain, verify="none")).startswith("anything")
    assert "signatures" in left_out(replace(chain, family="sui"))
    assert "family tiny" in left_out(replace(chain, family="tiny"))


def test_rows_of_recorded_cosmos_blocks_hash_again() -> None:
    """Headers, transactions, and results where the header above is there too."""
    for one in cosmos_blocks.recordings():
        raw = one.raw()
        read = reader("cosmos", [raw], ("blocks", "transactions"))
        assert failing(cosmos.rehash(Chain("a", "cosmos", None, 1.0)), read, raw.height) == []


def test_results_merged_before_there_was_a_block_above_are_proven_by_it() -> None:
    """A Cosmos chain's newest block is taken on its node's word; the next one tells."""
    chain, height = cosmos_node.chain(21), 19
    said = [[json.loads(part) for part in chain._answers(at)] for at in (height, height + 1)]
    right = [cosmos_blocks.raw(*one) for one in said]
    said[0][1]["txs_results"][0]["gas_used"] += "0"
    wrong = [cosmos_blocks.raw(*said[0]), right[1]]
    again, names = cosmos.rehash(Chain("a", "cosmos", None, 1.0)), ("blocks", "transactions")
    assert failing(again, reader("cosmos", right, names), height) == []
    assert failing(again, reader("cosmos", wrong[:1], names), height) == []
    assert failing(again, reader("cosmos", wrong, names), height) == [
        (height, "code, data or gas are not those of last_results_hash above")
    ]


def test_rows_of_tron_blocks_hash_again() -> None:
    """So does the genesis block, whose witness is no address."""
    again = tron.rehash(Chain("tron", "tron", None, 20.0))
    raw = tron_blocks.recordings().raw()
    assert failing(again, reader("tron", [raw], ("blocks",)), raw.height) == []
    assert (
        failing(again, reader("tron", [tron_blocks.raw(tron_blocks.genesis())], ("blocks",)), 0)
        == []
    )


SUI = ("blocks", "transactions", "events")


def _end_of_epoch() -> bytes:
    """A checkpoint that ends its epoch, with commitments of both kinds."""
    message = messages.Checkpoint.FromString(sui_blocks.checkpoints(41)[40])
    value = sui_blocks.Parser(message.summary.bcs.value).value(types.SUMMARY)
    digest = value["content_digest"]
    value["end_of_epoch_data"] = {
        "next_epoch_committee": [{"public_key": bytes(300), "stake": 10_000}],
        "next_epoch_protocol_version": 99,
        "epoch_commitments": [{"ECMHLiveObjectSetDigest": digest}],
    }
    value["checkpoint_commitments"] = [{"CheckpointArtifactsDigest": digest}]
    message.summary.bcs.value = bcs.encode(types.SUMMARY, value)
    message.ClearField("digest")
    body: bytes = message.SerializeToString()
    return body


def test_rows_of_sui_checkpoints_hash_again() -> None:
    """Summaries, those at an epoch's end too, and the events of each transaction."""
    again = sui.rehash(Chain("sui", "sui", None, 240.0))
    recorded = (sui_blocks.recorded_checkpoint().body, _end_of_epoch())
    raws = [sui_blocks.raw(body) for body in (*sui_blocks.checkpoints(41), *recorded)]
    for raw in raws:
        assert failing(again, reader("sui", [raw], SUI), raw.height) == []
        assert failing(again, reader("sui", [raw], ("blocks",)), raw.height) == []
    assert any(raw.payload.summary.end_of_epoch for raw in raws)
    assert any(one.events for raw in raws for one in raw.payload.transactions)


@pytest.mark.parametrize(
    "given",
    [
        f"0x{'0' * 63}2::coin::Coin<0x{'0' * 63}2::sui::SUI>",
        f"0x{'a' * 64}::m::T<u64,vector<vector<u8>>,0x{'b' * 64}::p::Pair<bool,address>,u256>",
        f"0x{'c' * 64}::event::Nothing",
    ],
)
def test_move_type_is_written_as_it_is_read(given: str) -> None:
    """The text of a column and the bytes that are hashed say the same."""
    assert Reader(written.struct_tag(given)).struct_tag() == given


@pytest.mark.parametrize("given", ["", "u64", "0x2::coin::Coin", f"0x{'a' * 64}::m::T<"])
def test_text_that_is_no_move_type_is_not_written(given: str) -> None:
    """A changed column is told as one that cannot be hashed."""
    with pytest.raises(ValueError, match="no Move type"):
        written.struct_tag(given)


def _only(table: str, rows: list[_rehashed.Row]) -> _rehashed.Read:
    return lambda name, _: rows if name == table else None


def test_sui_summary_that_cannot_be_hashed_is_told_so() -> None:
    """A number that no summary has, or a digest that is none, fails its height alone."""
    raw = sui_blocks.raw(sui_blocks.checkpoints(3)[2])
    again, read = sui.rehash(Chain("sui", "sui", None, 240.0)), reader("sui", [raw], SUI)
    row = (read("blocks", BlockRange(2, 3)) or [{}])[0]
    for change in ({"epoch": -1}, {"contents_digest": "0OIl"}, {"commitments": '[{"No": "1"}]'}):
        changed = {**row, **change}
        found = failing(again, _only("blocks", [changed]), 2)
        assert [height for height, _ in found] == [2]
        assert "cannot be hashed" in found[0][1]


def test_a_row_without_what_is_required_is_no_row() -> None:
    """Where somebody dropped NOT NULL a null is for the checks to tell, and breaks nothing here."""
    rows = small.table(small.BLOCKS, [{"block_number": 1}, *small.rows(BlockRange(2, 3))["blocks"]])
    assert [row["block_number"] for row in _rehashed.plain(small.BLOCKS, rows)] == [2]


def test_every_family_with_hashes_of_its_own_is_found_by_its_file() -> None:
    """The folder is read; a family without a file is told as such."""
    assert {"cosmos", "evm", "sui", "tron"} <= set(lookup.names("audit"))
