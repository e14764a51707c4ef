"""The commands, each run in this process against the devnet and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from sqlalchemy.engine import Engine

from chainflow import board, cli, clients, line
from chainflow.clients import Client, evm
from chainflow.clients._pace import DEFAULT
from chainflow.endpoints import Endpoint
from chainflow.types import Chain
from tests import small
from tests.dags.nodes import Nodes, frozen

BLOCKS = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left: its exit code and what it said."""

    code: int
    out: str
    err: str

    def objects(self) -> list[dict[str, object]]:
        """The JSON objects it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class Terminal:
    """A registry, a store, and the commands on them."""

    nodes: Nodes
    registry: Path
    database_url: str
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str) -> Outcome:
        """Run a command to its end."""
        before = ["--registry", str(self.registry), "--database-url", self.database_url]
        return run(self.capsys, *before, *words)

    def spawn(self, *words: str, database_url: str | None = None) -> Outcome:
        """Run a command as a process of its own: whatever it logs stands in stderr too."""
        store = database_url or self.database_url
        before = ["--registry", str(self.registry), "--database-url", store]
        done = subprocess.run(
            [sys.executable, "-c", "from chainflow import cli; cli.main()", *before, *words],
            capture_output=True,
            text=True,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    @property
    def first(self) -> int:
        """Where the simulated ethereum starts."""
        return int(self.nodes.entries["ethereum"]["start"])

    @property
    def head(self) -> int:
        """Its newest height."""
        return self.nodes.simulations["ethereum"].head

    def change(self, chain: str = "ethereum", **keys: object) -> None:
        """Edit an entry of the registry."""
        written = yaml.safe_load(self.registry.read_text())
        written["chains"][chain] |= keys
        self.registry.write_text(yaml.safe_dump(written))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> Outcome:
    """Run the command line as the entry point does."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    out, err = capsys.readouterr()
    return Outcome(int(ended.value.code or 0), out, err)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Two chains whose heads stand still."""
    with frozen("ethereum", "arbitrum", blocks=BLOCKS) as serving:
        yield serving


@pytest.fixture
def terminal(
    nodes: Nodes, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """A terminal with the two chains' registry, everything final at the head."""
    registry = tmp_path / "chains.yaml"
    chains = {name: {**entry, "finality": "head"} for name, entry in nodes.entries.items()}
    registry.write_text(yaml.safe_dump({"defaults": nodes.defaults, "chains": chains}))
    return Terminal(nodes, registry, database_url, capsys)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not answer is soon given up."""
    limits = replace(DEFAULT, heights_seconds=2.0)
    monkeypatch.setattr(clients, "connect", partial(evm.connect, limits=limits))


def one_line(outcome: Outcome) -> str:
    """The one readable line that an error is."""
    assert outcome.err.count("\n") == 1, outcome.err
    assert "Traceback" not in outcome.err
    return outcome.err


def test_sync_merges_up_to_the_target(terminal: Terminal, engine: Engine) -> None:
    """Every height from the start to the head is there once, and the command says so."""
    done = terminal.run("sync", "ethereum")
    assert done.code == 0
    assert f"merged up to {terminal.head}" in done.out
    rows = small.ask(engine, "SELECT block_number FROM ethereum.blocks ORDER BY 1")
    assert rows == list(range(terminal.first, terminal.head + 1))


def test_sync_twice_changes_nothing(terminal: Terminal, engine: Engine) -> None:
    """What is merged is not read again."""
    terminal.run("sync", "ethereum")
    logged = small.ask(engine, "SELECT count(*) FROM chainflow.merge_log")
    again = terminal.run("sync", "ethereum")
    assert again.code == 0
    assert "0 blocks" in again.out
    assert small.ask(engine, "SELECT count(*) FROM chainflow.merge_log") == logged


def test_sync_stops_before_its_to(terminal: Terminal) -> None:
    """--to is exclusive, and what is left out in the middle is a gap."""
    first = terminal.first
    assert terminal.run("sync", "ethereum", "--to", str(first + 5)).code == 0
    assert (
        terminal.run("sync", "ethereum", "--from", str(first + 9), "--to", str(first + 12)).code
        == 0
    )
    gaps = terminal.run("gaps", "ethereum", "--json").objects()
    assert {str(gap["dataset"]) for gap in gaps} >= {"blocks", "transactions", "logs"}
    assert all(gap["gaps"] == [[first + 5, first + 9]] for gap in gaps)


def test_sync_merges_slices_that_link(
    terminal: Terminal, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However small its slices, the rows are those of one slice, each merged by itself."""
    monkeypatch.setattr(line, "SLICE_BYTES", 1)
    assert terminal.run("sync", "ethereum").code == 0
    assert small.ask(engine, "SELECT count(*) FROM chainflow.merge_log") == [
        terminal.head + 1 - terminal.first
    ]
    assert terminal.run("audit", "ethereum").code == 0


def test_sync_killed_again_and_again_ends_as_an_undisturbed_one(
    terminal: Terminal, engine: Engine
) -> None:
    """SIGKILL between and inside merges leaves whole slices only, and the next run goes on."""
    program = "from chainflow import cli, line; line.SLICE_BYTES = 1; cli.main()"
    words = ["--registry", str(terminal.registry), "--database-url", terminal.database_url]
    command = [sys.executable, "-c", program, *words, "sync", "ethereum"]
    merged = 0
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            while run.poll() is None and _slices(engine) < merged + 5:
                time.sleep(0.01)
            run.kill()
        # One statement, for a merge that was under way may end after its client.
        [(merged, heights)] = small.ask(
            engine,
            "SELECT (SELECT count(*) FROM chainflow.merge_log),"
            " (SELECT array_agg(block_number ORDER BY block_number) FROM ethereum.blocks)",
        )
        assert heights == list(range(terminal.first, terminal.first + merged))
    assert merged >= 15
    assert terminal.run("sync", "ethereum").code == 0
    assert terminal.run("audit", "ethereum").code == 0
    hashes = small.ask(engine, "SELECT block_hash FROM ethereum.blocks ORDER BY block_number")
    blocks = range(terminal.first, terminal.head + 1)
    assert hashes == [
        terminal.nodes.call("ethereum", "eth_getBlockByNumber", hex(height), False)["hash"]
        for height in blocks
    ]


def test_sync_follow_waits_for_a_height_that_is_not_final_yet(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --follow it is work that failed; with it, it is tried again until it is there."""
    above = str(terminal.head + 1)
    alone = terminal.run("sync", "ethereum", "--from", above)
    assert alone.code == 1
    assert f"height {above} is not final yet: the head is {terminal.head}" in one_line(alone)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    following = terminal.run("sync", "ethereum", "--from", above, "--follow")
    assert following.code == 130
    assert following.err.count("is not final yet") == following.err.count("trying again") == 2


def _slices(engine: Engine) -> int:
    [count] = small.ask(engine, "SELECT count(*) FROM chainflow.merge_log")
    return int(count)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("sync", "nowhere"), 2, "no chain nowhere"),
        (("sync", "ethereum", "--from", "9", "--to", "3"), 2, "--to is exclusive"),
        (("sync", "ethereum", "--from", "0"), 2, "below the chain's start"),
        (("sync", "ethereum", "--to", "999999999"), 1, "not final yet"),
        (("sync", "ethereum", "--from", "999999999"), 1, "height 999999999 is not final yet"),
        (("sync", "ethereum", "--to", "x"), 2, "not a valid integer"),
        (("sync", "ethereum", "--follow", "--to", "9"), 2, "--follow has no end"),
        (("sink", "ethereum"), 2, "sink"),
        (("plan", "nowhere"), 2, "no chain nowhere"),
        (("audit", "nowhere"), 2, "no chain nowhere"),
        (("audit", "ethereum", "--from", "9", "--to", "9"), 2, "nothing lies between"),
        *(
            ((command, "--speed", speed), 2, told)
            for command in ("devnet", "demo")
            for speed, told in (
                ("0", "not in the range"),
                ("-1", "not in the range"),
                ("inf", "not in the range"),
                ("nan", "nan is no number"),
                ("fast", "not a valid float"),
            )
        ),
        (("devnet", "--backlog", "-5"), 2, "not in the range"),
        (("devnet", "--registry-out", "/nosuch/x.yaml"), 2, "/nosuch/x.yaml cannot be written"),
        (("devnet", "--registry-out", "/"), 2, "/ cannot be written"),
    ],
)
def test_wrong_words_are_one_line_and_write_nothing(
    terminal: Terminal, engine: Engine, words: tuple[str, ...], code: int, told: str
) -> None:
    """A wrong argument ends with its exit code and one readable line, and no row anywhere."""
    outcome = terminal.run(*words)
    assert outcome.code == code
    assert told in one_line(outcome)
    assert small.ask(engine, "SELECT count(*) FROM chainflow.merge_log") == [0]
    assert small.ask(engine, "SELECT to_regclass('ethereum.blocks')") == [None]


@pytest.mark.parametrize(
    ("words", "change", "code", "told"),
    [
        (("sync", "nowhere"), {}, 2, "no chain nowhere"),
        (("sync", "ethereum", "--to", "x"), {}, 2, "not a valid integer"),
        (("sync", "ethereum", "--from", "9", "--to", "3"), {}, 2, "--to is exclusive"),
        (("sync", "ethereum"), {"start": -1}, 2, "ethereum.start: is the number -1"),
        (("sync", "ethereum"), {"endpoints": ["env:CHAINFLOW_NO"]}, 2, "CHAINFLOW_NO is not set"),
        (("sync", "ethereum", "--to", "999999999"), {}, 1, "not final yet"),
        (("sync", "ethereum"), {"chain_id": 2}, 1, "expected chain id 2, got 1"),
        (("sync", "ethereum"), {"endpoints": ["http://127.0.0.1:9"]}, 1, "cannot connect"),
        (("audit", "ethereum"), {}, 1, "2 rows fail"),
    ],
)
def test_each_class_of_errors_is_one_line_of_a_real_process(
    terminal: Terminal,
    engine: Engine,
    words: tuple[str, ...],
    change: dict[str, Any],
    code: int,
    told: str,
) -> None:
    """What is logged on the way to an error does not stand beside it."""
    if words[0] == "audit":
        terminal.run("sync", "ethereum", "--to", str(terminal.first + 2))
        small.do(engine, f"DELETE FROM ethereum.blocks WHERE block_number = {terminal.first}")
    terminal.change(**change)
    outcome = terminal.spawn(*words)
    assert outcome.code == code
    assert told in one_line(outcome)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://someone:hunter2@127.0.0.1:1/x", "127.0.0.1"),
        ("mysql://someone:hunter2@127.0.0.1/x", "expected postgresql"),
    ],
)
def test_a_store_that_is_none_is_one_line_of_a_real_process(
    terminal: Terminal, url: str, told: str
) -> None:
    """Without its password."""
    outcome = terminal.spawn("sync", "ethereum", database_url=url)
    assert told in one_line(outcome)
    assert "hunter2" not in outcome.err


def test_wrong_chain_id_stops_the_chain(terminal: Terminal, engine: Engine) -> None:
    """A node of another chain is told from ours before a block is asked for."""
    terminal.change(chain_id=2)
    outcome = terminal.run("sync", "ethereum")
    assert outcome.code == 1
    assert "chain id" in one_line(outcome)
    assert small.ask(engine, "SELECT to_regclass('ethereum.blocks')") == [None]


def test_an_entry_edited_to_another_chain_is_refused(terminal: Terminal, engine: Engine) -> None:
    """By every command that would mix its rows with those that are there; the board says why."""
    terminal.run("sync", "ethereum", "--to", str(terminal.first + 5))
    kept = terminal.nodes.entries["arbitrum"]
    terminal.change(chain_id=kept["chain_id"], endpoints=kept["endpoints"])
    for words in (["sync"], ["plan"], ["audit"], ["audit", "--repair"]):
        outcome = terminal.run(*words, "ethereum")
        assert outcome.code == 1
        assert "rows of family evm, chain_id 1, and its entry says" in one_line(outcome)
    rows = {row["chain"]: row for row in terminal.run("heights", "--json").objects()}
    assert "DROP SCHEMA" in str(rows["ethereum"]["error"])
    assert rows["arbitrum"]["error"] is None
    assert small.ask(engine, "SELECT count(*) FROM ethereum.blocks") == [5]


@pytest.mark.parametrize("command", [[], ["db"]])
def test_a_group_alone_is_its_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As it is with --help, not folded into one line of an error."""
    shown = run(capsys, *command)
    assert shown.code == 2
    assert shown.err == run(capsys, *command, "--help").out


URL = "https://user:hunter2@node.example/v3/hunter2"


@pytest.mark.parametrize(
    "words",
    [
        *([command, URL] for command in ("sync", "plan", "audit", "gaps", "endpoints", "validate")),
        ["db", "index", URL],
        ["sync", "user:hunter2@node.example"],
        ["sync", "ethereum", URL],
        ["sync", "ethereum", "--from", URL],
        ["devnet", "--registry-out", URL],
        [f"--registry={URL}", "gaps"],
        [URL],
        ["validate", "postgresql://user:hunter2@node.example/x"],
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_a_url_in_the_wrong_place_is_not_shown(
    terminal: Terminal, words: list[str], debug: bool
) -> None:
    """It is refused as wrong input, without its login and what may be a key."""
    outcome = terminal.run(*(["--debug"] if debug else []), *words)
    assert outcome.code == 2
    assert "hunter2" not in outcome.out + outcome.err
    assert debug or one_line(outcome)


def test_a_url_for_a_registry_is_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one in the variable that names the files."""
    monkeypatch.setenv("CHAINFLOW_REGISTRY", URL)
    outcome = run(capsys, "gaps")
    assert (outcome.code, "hunter2" in outcome.err) == (2, False)
    assert "CHAINFLOW_REGISTRY holds a URL" in one_line(outcome)


def test_audit_says_so_where_nothing_is_stored(terminal: Terminal) -> None:
    """Which is not sound, nor wrong."""
    empty = terminal.run("audit", "ethereum")
    assert empty.code == 0
    assert "ethereum: nothing is stored" in empty.out.splitlines()


def test_unreachable_database_keeps_its_password(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dead store is one line, exit code 1, and never its password."""
    url = "postgresql://someone:hunter2@127.0.0.1:1/x"
    outcome = run(
        capsys, "--registry", str(terminal.registry), "--database-url", url, "sync", "ethereum"
    )
    assert outcome.code == 1
    assert "hunter2" not in one_line(outcome)


def test_outdated_store_tells_the_remedy(terminal: Terminal, engine: Engine) -> None:
    """Without the control schema a command names the command that makes it."""
    small.do(engine, "DROP SCHEMA chainflow CASCADE")
    outcome = terminal.run("heights")
    assert outcome.code == 1
    assert "chainflow db upgrade" in one_line(outcome)
    assert terminal.run("db", "upgrade").code == 0
    assert terminal.run("db", "upgrade").code == 0
    assert terminal.run("heights").code == 0


def test_db_index_makes_what_the_registry_asks_for_now(terminal: Terminal) -> None:
    """Of tables that have rows, once; a chain without tables or words has nothing to be made."""
    terminal.run("sync", "ethereum", "--to", str(terminal.first + 3))
    assert terminal.run("db", "index") == Outcome(0, "", "")
    terminal.change(indexes=["hash"])
    made = terminal.run("db", "index", "ethereum")
    assert "ethereum.blocks_by_block_hash" in made.out.splitlines()
    assert terminal.run("db", "index") == Outcome(0, "", "")
    assert terminal.run("db", "index", "etherium").code == 2


def test_heights_shows_the_table_of_the_talk(terminal: Terminal) -> None:
    """Humanised heights, the rate with one decimal and /min, and the state, for every chain."""
    terminal.run("sync", "ethereum")
    shown = terminal.run("heights")
    assert shown.code == 0
    for title in ("BLOCKCHAIN", "ENV", "CURRENT HEIGHT", "LAST SYNCED HEIGHT", "BLOCKS PER MINUTE"):
        assert title in shown.out
    line = next(line for line in shown.out.splitlines() if line.startswith("ethereum"))
    assert line.split()[2:4] == [f"{terminal.head / 1e6:.1f}M"] * 2
    assert "5.0 /min" in line
    assert line.rstrip().endswith("synced")


def test_heights_on_a_terminal_shows_each_answer_as_it_comes(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow node answers only once the other's height is on the screen."""
    screen, connect = io.StringIO(), clients.connect
    head = f"{terminal.head / 1e6:.1f}M"

    @asynccontextmanager
    async def slow(chain: Chain, endpoints: Sequence[Endpoint]) -> AsyncIterator[Client]:
        async with connect(chain, endpoints) as client:
            async with asyncio.timeout(20.0):
                while chain.name == "arbitrum" and head not in screen.getvalue():
                    await asyncio.sleep(0.01)
            yield client

    monkeypatch.setattr(clients, "connect", slow)
    monkeypatch.setattr(
        board, "console", lambda: Console(file=screen, force_terminal=True, width=160)
    )
    assert terminal.run("heights").code == 0
    last = screen.getvalue().rpartition("BLOCKCHAIN")[2]
    heights = [terminal.nodes.simulations[name].head for name in ("ethereum", "arbitrum")]
    assert all(f"{height / 1e6:.1f}M" in last for height in heights)


def test_heights_json_is_one_object_per_chain(terminal: Terminal) -> None:
    """Each line is one chain with the columns of the view."""
    terminal.run("sync", "ethereum")
    rows = {str(row["chain"]): row for row in terminal.run("heights", "--json").objects()}
    assert set(rows) == {"ethereum", "arbitrum"}
    assert rows["ethereum"]["backlog_blocks"] == 0
    assert rows["ethereum"]["watermark"] == terminal.head
    assert rows["arbitrum"]["watermark"] is None


@pytest.mark.usefixtures("hasty")
def test_heights_tells_a_dead_node_beside_the_living(terminal: Terminal) -> None:
    """One chain's node is gone: its row says why, and the other's is right."""
    terminal.change("arbitrum", endpoints=["http://127.0.0.1:1"])
    rows = {str(row["chain"]): row for row in terminal.run("heights", "--json").objects()}
    assert rows["arbitrum"]["state"] == "unreachable"
    assert "127.0.0.1:1" in str(rows["arbitrum"]["error"])
    assert rows["ethereum"]["head"] == terminal.head


def test_plan_lists_the_next_ranges(terminal: Terminal) -> None:
    """The ranges touch, begin at the start, and hold what one task follows the head with."""
    ranges = terminal.run("plan", "ethereum", "--json").objects()
    assert ranges[0]["start"] == terminal.first
    assert [r["stop"] for r in ranges[:-1]] == [r["start"] for r in ranges[1:]]
    assert "20 blocks" in terminal.run("plan", "ethereum").out


def test_volume_counts_what_was_merged(terminal: Terminal) -> None:
    """The total and the chain's own line hold the blocks just merged."""
    terminal.run("sync", "ethereum", "--to", str(terminal.first + 7))
    total, chain = terminal.run("volume", "--json").objects()
    assert total["hour"] == chain["hour"]
    assert isinstance(chain["hour"], dict)
    assert chain["hour"]["blocks"] == 7
    assert "ethereum" in terminal.run("volume").out


@pytest.mark.usefixtures("hasty")
def test_endpoints_shows_each_by_itself(terminal: Terminal) -> None:
    """One that works is enough to end well; a chain without any is not."""
    url = str(terminal.nodes.entries["ethereum"]["endpoints"][0])
    terminal.change(endpoints=["http://127.0.0.1:9", url])
    shown = terminal.run("endpoints", "--json")
    assert shown.code == 0
    other, dead, good = shown.objects()
    assert (other["chain"], dead["chain"], good["chain"]) == ("arbitrum", "ethereum", "ethereum")
    assert (good["head"], good["behind"], good["right_chain"]) == (terminal.head, 0, True)
    assert "cannot connect" in str(dead["error"])
    terminal.change(endpoints=["http://127.0.0.1:9"])
    alone = terminal.run("endpoints", "ethereum")
    assert alone.code == 1
    assert "cannot connect" in alone.out


def test_sync_compares_a_sample_with_a_second_endpoint(terminal: Terminal, engine: Engine) -> None:
    """One host cannot be compared with itself; two that agree change nothing."""
    url = str(terminal.nodes.entries["ethereum"]["endpoints"][0])
    terminal.change(cross_check_blocks=20, max_requests_per_second=10_000)
    assert "needs 2 endpoints of different hosts" in one_line(terminal.run("sync", "ethereum"))
    terminal.change(endpoints=[url, url.replace("127.0.0.1", "localhost")])
    assert terminal.run("sync", "ethereum").code == 0
    assert small.ask(engine, "SELECT count(*) FROM ethereum.blocks") == [BLOCKS]


def test_audit_finds_damage_and_repairs_it(terminal: Terminal, engine: Engine) -> None:
    """A removed row, a changed hash and a row too much are named, read again, and then right."""
    terminal.run("sync", "ethereum")
    table = "SELECT * FROM ethereum.transactions ORDER BY block_number, transaction_index"
    before = small.ask(engine, table)
    wrong = terminal.first + 20
    small.do(engine, f"DELETE FROM ethereum.blocks WHERE block_number = {wrong}")
    small.do(
        engine, f"UPDATE ethereum.blocks SET block_hash = '0x00' WHERE block_number = {wrong + 5}"
    )
    small.do(engine, f"DELETE FROM ethereum.transactions WHERE block_number = {wrong + 10}")
    found = terminal.run("audit", "ethereum")
    assert found.code == 1
    assert str(wrong) in found.out
    assert terminal.run("audit", "ethereum", "--repair").code == 0
    assert terminal.run("audit", "ethereum").code == 0
    assert small.ask(engine, table) == before


def test_audit_names_ranges_and_what_it_cannot_tell(terminal: Terminal, engine: Engine) -> None:
    """Every failing height stands in a range, and what no hash covers is told as such."""
    first = terminal.first
    terminal.run("sync", "ethereum", "--to", str(first + 50))
    sound = terminal.run("audit", "ethereum")
    assert sound.code == 0
    assert "not hashed again: what no root holds" in sound.out
    small.do(
        engine,
        f"DELETE FROM ethereum.blocks WHERE block_number BETWEEN {first + 2} AND {first + 20}"
        f" OR block_number = {first + 25}",
    )
    found = terminal.run("audit", "ethereum")
    assert found.code == 1
    ranges = f"[{first + 2}, {first + 21}), [{first + 25}, {first + 26})"
    assert f"ethereum.blocks: complete: 20 failing in {ranges}: " in found.out
    assert "`chainflow audit ethereum --repair` reads them again" in one_line(found)
    assert terminal.run("audit", "ethereum", "--from", str(first + 26)).code == 0
    assert terminal.run("audit", "ethereum", "--to", str(first + 2)).code == 0
    mended = terminal.run("audit", "ethereum", "--repair")
    assert mended.code == 0
    assert f"read again [{first + 2}, {first + 21})" in mended.out
    assert f"read again [{first + 25}, {first + 26})" in mended.out


def test_audit_names_a_gap_and_fills_it(terminal: Terminal, engine: Engine) -> None:
    """Below what is merged nothing may be missing; what lies above is a run's to fill."""
    first = terminal.first
    terminal.run("sync", "ethereum", "--to", str(first + 30))
    terminal.run("sync", "ethereum", "--from", str(first + 40), "--to", str(first + 50))
    found = terminal.run("audit", "ethereum")
    assert found.code == 1
    assert f"ethereum.logs: gap: 10 failing in [{first + 30}, {first + 40}): " in found.out
    assert terminal.run("audit", "ethereum", "--to", str(first + 30)).code == 0
    assert terminal.run("audit", "ethereum", "--from", str(first + 40)).code == 0
    mended = terminal.run("audit", "ethereum", "--repair")
    assert mended.code == 0
    assert f"read again [{first + 30}, {first + 40})" in mended.out
    assert terminal.run("audit", "ethereum").code == 0
    assert small.ask(engine, "SELECT count(*) FROM ethereum.blocks") == [50]


def test_audit_against_the_node_sees_what_no_hash_covers(
    terminal: Terminal, engine: Engine
) -> None:
    """A sender is in no hash; the node says another, and the column is named."""
    terminal.run("sync", "ethereum")
    wrong = terminal.first + 20
    small.do(
        engine,
        f"UPDATE ethereum.transactions SET from_address = '0xbeef' WHERE block_number = {wrong}"
        " AND transaction_index = 0",
    )
    assert terminal.run("audit", "ethereum").code == 0
    found = terminal.run("audit", "ethereum", "--against-node")
    assert found.code == 1
    assert f"as_the_node: 1 failing in [{wrong}, {wrong + 1})" in found.out
    assert "transaction_index 0 differs in from_address" in found.out
    assert terminal.run("audit", "ethereum", "--against-node", "--repair").code == 0


def test_audit_says_what_it_found_before_the_node_failed(
    terminal: Terminal, engine: Engine
) -> None:
    """And repairs nothing it cannot read again."""
    terminal.run("sync", "ethereum")
    rows = small.ask(engine, "SELECT count(*) FROM ethereum.blocks")
    small.do(engine, f"DELETE FROM ethereum.blocks WHERE block_number = {terminal.first}")
    terminal.change(endpoints=["http://127.0.0.1:9"])
    failed = terminal.run("audit", "ethereum", "--repair")
    assert failed.code == 1
    assert "complete: 1 failing" in failed.out
    assert "cannot connect" in one_line(failed)
    assert small.ask(engine, "SELECT count(*) FROM ethereum.blocks") == [rows[0] - 1]


def test_validate_tells_every_error_with_its_line(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and file:line: chain.key: message, once per error; 0 for a sound file."""
    assert run(capsys, "validate", str(terminal.registry)).code == 0
    terminal.change(blocks_per_minute=-1, familly="evm")
    outcome = run(capsys, "validate", str(terminal.registry))
    assert outcome.code == 2
    told = outcome.err.splitlines()
    assert len(told) == 2
    assert all(line.startswith(f"{terminal.registry}:") for line in told)
    assert "ethereum.blocks_per_minute" in outcome.err
    assert "did you mean family" in outcome.err


def test_retired_chain_is_shown_and_never_read(terminal: Terminal) -> None:
    """It keeps its row in the table; to sync it is an error of the input."""
    terminal.run("sync", "ethereum")
    terminal.change(status="retired")
    assert terminal.run("sync", "ethereum").code == 2
    rows = {row["chain"]: row for row in terminal.run("heights", "--json").objects()}
    assert rows["ethereum"]["state"] == "retired"
    assert rows["ethereum"]["watermark"] == terminal.head


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """--help lists the commands whose names are fixed."""
    shown = run(capsys, "--help")
    assert shown.code == 0
    for command in [
        "validate",
        "db",
        "sync",
        "heights",
        "gaps",
        "plan",
        "volume",
        "audit",
        "devnet",
        "demo",
        "probe",
    ]:
        assert f"\n  {command} " in shown.out


@pytest.mark.parametrize("words", [["--help"], ["validate", "chains.yaml"], ["probe", "--help"]])
def test_light_commands_load_nothing_heavy(words: list[str]) -> None:
    """What needs neither node nor store answers without their libraries."""
    program = (
        "import sys; from chainflow import cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit as end: print([m for m in HEAVY if m in sys.modules], end.code)"
    )
    heavy = ("sqlalchemy", "aiohttp", "pyarrow", "web3", "airflow", "grpc", "google.protobuf")
    done = subprocess.run(
        [sys.executable, "-c", f"HEAVY = {heavy}\n{program}", *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_heights_stand_in_the_registrys_order(terminal: Terminal) -> None:
    """The board's rows follow the file, as the talk's table does its own order."""
    written = yaml.safe_load(terminal.registry.read_text())
    turned = dict(reversed(written["chains"].items()))
    terminal.registry.write_text(yaml.safe_dump({**written, "chains": turned}, sort_keys=False))
    rows = terminal.run("heights", "--json").objects()
    assert [row["chain"] for row in rows] == list(turned)


def test_probe_prints_an_entry_that_validate_takes(terminal: Terminal, tmp_path: Path) -> None:
    """Known to the registry by its chain id, it has the name it has there."""
    url = f"{terminal.nodes.url}/ethereum"
    shown = terminal.run("probe", url)
    assert shown.code == 0
    assert "the registry has this chain as ethereum" in shown.out
    pasted = tmp_path / "pasted.yaml"
    pasted.write_text("chains:\n" + shown.out)
    assert terminal.run("validate", str(pasted)).code == 0
    entry = yaml.safe_load(shown.out)["ethereum"]
    assert (entry["family"], entry["chain_id"], entry["blocks_per_minute"]) == ("evm", 1, 5.0)
    assert entry["endpoints"] == [url]


@pytest.mark.parametrize(
    ("word", "code", "told"),
    [
        ("http://me:SECRET@127.0.0.1:1/SECRET", 1, "127.0.0.1:1: cannot connect"),
        ("htp://me:SECRET@127.0.0.1", 2, "holds no URL"),
        ("SECRET", 2, "holds no URL"),
        ("env:CHAINFLOW_TEST_UNSET", 2, "CHAINFLOW_TEST_UNSET is not set"),
        ("conn:test_unset", 2, "AIRFLOW_CONN_TEST_UNSET"),
    ],
)
def test_probe_of_nothing_is_one_line_without_a_key(
    terminal: Terminal, word: str, code: int, told: str
) -> None:
    """A dead node is work that failed, a wrong word is wrong input; neither shows a secret."""
    outcome = terminal.run("probe", word)
    assert outcome.code == code
    assert told in one_line(outcome)
    assert "SECRET" not in outcome.err
