"""What chains.yaml may say, and the line that each mistake in it gets."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chainflow import _yaml_lines, lookup, registry
from chainflow._entry import Entry
from chainflow.errors import RegistryError, UnknownChain
from chainflow.types import Chain

ROOT = Path(__file__).parents[2]
THE_PACKAGES = lookup.names
ROOMS = {
    "clients": ("evm",),
    "datasets": ("evm",),
    "datasets.evm": ("blocks", "logs", "token_transfers", "transactions", "withdrawals"),
}
# Five lines; a broken entry adds a sixth.
GOOD = """\
chains:
  ethereum:
    family: evm
    blocks_per_minute: 5.0
    endpoints: [conn:ethereum_rpc]
"""


@pytest.fixture(autouse=True)
def rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Family and datasets as they are told here, whatever the package has today."""
    monkeypatch.setattr(lookup, "names", lambda room: ROOMS.get(room, ()))


@pytest.fixture(params=["libyaml", "python"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of PyYAML's loaders: libyaml is not built everywhere."""
    if request.param == "python":
        monkeypatch.setattr(_yaml_lines, "_LOADER", yaml.SafeLoader)
    elif not hasattr(yaml, "CSafeLoader"):
        pytest.skip("PyYAML is built without libyaml here")


def _file(folder: Path, text: str | bytes, name: str = "chains.yaml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _problems(*paths: Path) -> list[str]:
    """The lines of the error, with file names instead of paths."""
    with pytest.raises(RegistryError) as caught:
        registry.load(*paths)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all(line.isprintable() for line in caught.value.problems)
    return [line.replace(f"{paths[0].parent}{os.sep}", "") for line in caught.value.problems]


def _entry(line: str) -> str:
    return f"{GOOD}    {line}\n"


def _key(key: str, value: str) -> str:
    """The good registry with another value for one of its keys."""
    lines = [
        f"    {key}: {value}" if line.strip().startswith(f"{key}:") else line
        for line in GOOD.splitlines()
    ]
    return "\n".join(lines) + "\n"


# What stands in the file, where the one line points, and words that it must hold.
BROKEN: dict[str, tuple[str | bytes, str, tuple[str, ...]]] = {
    # The file as a whole.
    "empty": ("", "1: ", ("the file is empty", "expected a mapping")),
    "only a comment": ("# chains\n", "1: ", ("the file is empty",)),
    "a list": ("- ethereum\n", "1: ", ("is no mapping", "`chains`")),
    "a word": ("\nchains\n", "2: ", ("is no mapping",)),
    "tab": ("chains:\n\tethereum: {}\n", "2: ", ("a tab indents", "expected spaces")),
    "open bracket": ("chains:\n  a: [1\n", "3: ", ("cannot be read", "expected YAML")),
    "two documents": (f"{GOOD}---\n{GOOD}", "6: ", ("found another document",)),
    "not UTF-8": (b"defaults:\n  owner: caf\xe9\n", "2: ", ("is not UTF-8", "expected UTF-8")),
    "control character": ("chains:\n  a: \x07\n", "2: ", ("control character",)),
    "unknown alias": ("chains: *all\n", "1: ", ("undefined alias",)),
    "cycle": (
        "chains: &all\n  ethereum: *all\n",
        "2: ethereum: ",
        ("holds itself",),
    ),
    "alias bomb": (
        "a: &a [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]\n"
        + "".join(
            f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n"
            for a, b in zip("abcde", "bcdef", strict=True)
        ),
        "1: e: ",
        ("more than 100000 values",),
    ),
    "deep": (f"chains: {'[' * 5000}{']' * 5000}\n", "1: ", ("nested too deeply",)),
    # Deeper than what libyaml composes without ending the process.
    "deepest": ("chains:\n" + " [\n" * 100_000, "101: ", ("nested too deeply",)),
    "deep by aliases": (
        f"a: &a {'[' * 80}{']' * 80}\nb: {'[' * 80}*a{']' * 80}\n",
        "1: b: ",
        ("nested too deeply",),
    ),
    # The file's own keys.
    "unknown section": (
        f"chain: {{}}\n{GOOD}",
        "1: chain: ",
        ("unknown key", "did you mean chains?"),
    ),
    "no chain": ("defaults: {owner: us}\n", "1: chains: ", ("no chain",)),
    "chains empty": ("defaults: {}\nchains:\n", "2: chains: ", ("is empty", "expected a mapping")),
    "chains a list": ("chains: [ethereum]\n", "1: chains: ", ("is a list", "expected a mapping")),
    "defaults a word": (f"defaults: us\n{GOOD}", "1: defaults: ", ("is the text 'us'",)),
    "unknown default": (
        f"defaults: {{ownr: us}}\n{GOOD}",
        "1: defaults.ownr: ",
        ("unknown key", "did you mean owner?"),
    ),
    "wrong default": (
        f"defaults:\n  max_tasks_per_run: 0\n{GOOD}",
        "2: defaults.max_tasks_per_run: ",
        ("is the number 0", "from 1 to 1024"),
    ),
    # The chain's name.
    "chain twice": (
        f"{GOOD}  ethereum:\n    family: evm\n",
        "6: ethereum: ",
        ("stands twice, on lines 2 and 6",),
    ),
    "capital": (
        GOOD.replace("ethereum:", "Ethereum:"),
        "2: Ethereum: ",
        ("is no name for a chain",),
    ),
    "name too long": (
        GOOD.replace("ethereum:", f"{'e' * 42}:"),
        f"2: {'e' * 42}: ",
        ("is no name for a chain", "at most 41"),
    ),
    "name with a dot": (GOOD.replace("ethereum:", "'a.b; c':"), "2: 'a.b; c': ", ("is no name",)),
    "schema of ours": (
        GOOD.replace("ethereum:", "staging:"),
        "2: staging: ",
        ("is a reserved name",),
    ),
    "schema of PostgreSQL": (
        GOOD.replace("ethereum:", "pg_x:"),
        "2: pg_x: ",
        ("is a reserved name",),
    ),
    "name of a family's schema": (
        GOOD.replace("ethereum:", "evm:"),
        "2: evm: ",
        ("is a reserved name",),
    ),
    "name that YAML reads as false": (
        GOOD.replace("ethereum:", "no:"),
        "2: no: ",
        ("the key is no text", "in quotes"),
    ),
    "entry a word": ("chains:\n  ethereum: evm\n", "2: ethereum: ", ("is the text 'evm'",)),
    "entry empty": ("chains:\n  ethereum:\n", "2: ethereum: ", ("is empty", "expected a mapping")),
    "merge key": (f"{GOOD}    <<: {{}}\n", "6: ethereum.'<<': ", ("merges nothing here",)),
    # Keys.
    "key twice": (
        _entry("blocks_per_minute: 6"),
        "6: ethereum.blocks_per_minute: ",
        ("stands twice, on lines 4 and 6",),
    ),
    "unknown key": (
        _entry("strat: 5"),
        "6: ethereum.strat: ",
        ("unknown key", "did you mean start?"),
    ),
    "unknown key like none": (
        _entry("qqq: 5"),
        "6: ethereum.qqq: ",
        ("unknown key (expected one of status, family,",),
    ),
    "no family": (
        GOOD.replace("    family: evm\n", ""),
        "2: ethereum.family: ",
        ("is missing", "expected one of evm"),
    ),
    "no rate": (
        GOOD.replace("    blocks_per_minute: 5.0\n", ""),
        "2: ethereum.blocks_per_minute: ",
        ("is missing", "blocks per minute"),
    ),
    "no endpoints": (
        GOOD.replace("    endpoints: [conn:ethereum_rpc]\n", ""),
        "2: ethereum.endpoints: ",
        ("is missing", "conn:ID"),
    ),
    "mistyped needed key": (
        GOOD.replace("endpoints:", "endpoint:"),
        "5: ethereum.endpoint: ",
        ("unknown key", "did you mean endpoints?"),
    ),
    # Values.
    "number in quotes": (
        _entry('start: "5"'),
        "6: ethereum.start: ",
        ("is the text '5'", "a whole number"),
    ),
    "true for a number": (_entry("start: true"), "6: ethereum.start: ", ("is true",)),
    "fraction": (_entry("start: 5.0"), "6: ethereum.start: ", ("is the number 5.0",)),
    "negative": (_entry("start: -1"), "6: ethereum.start: ", ("is the number -1", "from 0")),
    "above bigint": (_entry(f"start: {2**63}"), "6: ethereum.start: ", ("a bigint holds",)),
    "huge": (_entry(f"start: {'9' * 4000}"), "6: ethereum.start: ", ("is a huge number",)),
    "huger than Python reads": (
        _entry(f"start: {'9' * 5000}"),
        "6: ethereum.start: ",
        ("cannot be read as int",),
    ),
    "no day": (
        _entry("owner: 2026-13-45"),
        "6: ethereum.owner: ",
        ("cannot be read as timestamp",),
    ),
    "a day": (_entry("owner: 2026-01-02"), "6: ethereum.owner: ", ("is a date", "expected text")),
    "a tag of Python": (
        _entry("owner: !!python/name:os.system x"),
        "6: ethereum.owner: ",
        ("cannot be read as",),
    ),
    **{
        f"{text} as {tag}": (
            _entry(f"chain_id: !!{tag} {text}"),
            "6: ethereum.chain_id: ",
            (f"cannot be read as {tag} ",),
        )
        for tag, text in (
            ("int", '""'),
            ("int", "_"),
            ("float", '""'),
            ("bool", "foo"),
            ("timestamp", "foo"),
            ("binary", "YQ=="),
            ("map", "a"),
            ("seq", "{a: 1}"),
            ("str", "[a]"),
            ("set", "{a}"),
            ("omap", "[a: 1]"),
        )
    },
    "a list of pairs": (
        _entry("tags: !!omap [a: 1]"),
        "6: ethereum.tags: ",
        ("cannot be read as omap",),
    ),
    "not a number": (
        _key("blocks_per_minute", ".nan"),
        "4: ethereum.blocks_per_minute: ",
        ("is the number nan", "above 0"),
    ),
    "infinite": (
        _key("blocks_per_minute", ".inf"),
        "4: ethereum.blocks_per_minute: ",
        ("is a huge number",),
    ),
    "no rate at all": (
        _key("blocks_per_minute", "0"),
        "4: ethereum.blocks_per_minute: ",
        ("is the number 0", "above 0"),
    ),
    "rate in words": (
        _key("blocks_per_minute", "5/min"),
        "4: ethereum.blocks_per_minute: ",
        ("is the text '5/min'",),
    ),
    "too many tasks": (
        _entry("max_tasks_per_run: 1025"),
        "6: ethereum.max_tasks_per_run: ",
        ("from 1 to 1024",),
    ),
    "no minutes": (_entry("task_minutes: 0"), "6: ethereum.task_minutes: ", ("above 0",)),
    "half a minute": (
        _entry("schedule_minutes: 0.5"),
        "6: ethereum.schedule_minutes: ",
        ("a whole number of minutes",),
    ),
    "empty value": (_entry("owner:"), "6: ethereum.owner: ", ("is empty", "expected text")),
    "empty text": (_entry('owner: ""'), "6: ethereum.owner: ", ("is an empty text",)),
    "tags a word": (_entry("tags: l2"), "6: ethereum.tags: ", ("is the text 'l2'", "a list")),
    "chain id in quotes": (_entry('chain_id: "1"'), "6: ethereum.chain_id: ", ("without quotes",)),
    "negative chain id": (_entry("chain_id: -1"), "6: ethereum.chain_id: ", ("is the number -1",)),
    "unknown status": (
        _entry("status: retried"),
        "6: ethereum.status: ",
        ("is the text 'retried'", "live or retired", "did you mean retired?"),
    ),
    "unknown finality": (
        _entry("finality: finalised"),
        "6: ethereum.finality: ",
        ("{confirmations: N}", "did you mean finalized?"),
    ),
    "negative confirmations": (
        _entry("finality: {confirmations: -1}"),
        "6: ethereum.finality: ",
        ("is a mapping", "N a whole number from 0"),
    ),
    "unknown key of finality": (
        _entry("finality: {confirmation: 5}"),
        "6: ethereum.finality: ",
        ("{confirmations: N}",),
    ),
    # Words that name files of ours.
    "unknown family": (
        _key("family", "evn"),
        "3: ethereum.family: ",
        ("unknown family evn", "expected one of evm", "did you mean evm?"),
    ),
    "family of a later release": (
        _key("family", "tron"),
        "3: ethereum.family: ",
        ("expected one of evm",),
    ),
    "family as a path": (
        _key("family", "../evm"),
        "3: ethereum.family: ",
        ("unknown family '../evm'",),
    ),
    "unknown dataset": (
        _entry("datasets: [blocks, log]"),
        "6: ethereum.datasets: ",
        ("unknown dataset log", "did you mean logs?"),
    ),
    "no blocks": (_entry("datasets: [logs]"), "6: ethereum.datasets: ", ("`blocks` is missing",)),
    "no dataset": (_entry("datasets: []"), "6: ethereum.datasets: ", ("is an empty list",)),
    "unknown index": (
        _entry("indexes: [hash, adress]"),
        "6: ethereum.indexes: ",
        ("is the text 'adress'", "did you mean address?"),
    ),
    "index twice": (_entry("indexes: [hash, hash]"), "6: ethereum.indexes: ", ("stands twice",)),
    "dataset twice": (
        _entry("datasets: [blocks, blocks]"),
        "6: ethereum.datasets: ",
        ("'blocks' stands twice",),
    ),
    # Endpoints.
    "no endpoint": (_key("endpoints", "[]"), "5: ethereum.endpoints: ", ("is an empty list",)),
    "endpoints a URL": (
        _key("endpoints", "https://node.example"),
        "5: ethereum.endpoints: ",
        ("is a text", "expected a list"),
    ),
    "conn without id": (
        _key("endpoints", "['conn:']"),
        "5: ethereum.endpoints: ",
        ("names no connection", "conn:ID"),
    ),
    "env without name": (_key("endpoints", "['env:']"), "5: ethereum.endpoints: ", ("env:NAME",)),
    "mistyped conn": (
        _key("endpoints", "[con:ethereum_rpc]"),
        "5: ethereum.endpoints: ",
        ("'con' is no endpoint", "did you mean conn?"),
    ),
    "bad scheme": (
        _key("endpoints", "[htps://node.example]"),
        "5: ethereum.endpoints: ",
        ("'htps' is no endpoint", "did you mean https?"),
    ),
    "websocket": (
        _key("endpoints", "[wss://node.example]"),
        "5: ethereum.endpoints: ",
        ("grpc(s) URL",),
    ),
    "another family's scheme": (
        _key("endpoints", "[https://node.example, grpcs://node.example]"),
        "5: ethereum.endpoints: ",
        ("grpcs is not how a node of family evm is asked", "a URL of http or https"),
    ),
    "no host": (
        _key("endpoints", "['https://']"),
        "5: ethereum.endpoints: ",
        ("is no URL with a host",),
    ),
    "bad port": (
        _key("endpoints", "['http://a:99999']"),
        "5: ethereum.endpoints: ",
        ("is no URL",),
    ),
    "space": (_key("endpoints", "['http://a b']"), "5: ethereum.endpoints: ", ("is no URL",)),
}


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("case", BROKEN)
def test_registry_tells_a_mistake_in_one_line(case: str, tmp_path: Path) -> None:
    """File, line, chain and key, what was expected, and the nearest legal word."""
    text, where, words = BROKEN[case]
    (line,) = _problems(_file(tmp_path, text))
    assert line.startswith(f"chains.yaml:{where}")
    assert "(expected " in line
    for word in words:
        assert word in line
    assert len(line) < 400


SECRET = "s3cr3tK3yOfThirtyTwoCharactersXY"


@pytest.mark.parametrize(
    "value",
    [
        f"[https://user:{SECRET}@node.example]",
        f"[https://{SECRET}@node.example]",
        f"[https://node.example/v3/{SECRET}]",
        f"[https://node.example/v3/{SECRET}/rpc]",
        f"[https://node.example/rpc?x={SECRET}]",
        "[https://node.example/rpc?apikey=abc]",
        "[https://node.example/0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f]",
        f"https://node.example/v3/{SECRET}",
        f"[{SECRET}]",
        f"[wss://node.example/{SECRET}]",
        f"['https://node.example:{SECRET}']",
        f"['conn:https://{SECRET}@node.example']",
        f"['env:https://{SECRET}@node.example']",
    ],
)
def test_registry_refuses_a_secret_and_does_not_repeat_it(value: str, tmp_path: Path) -> None:
    """A URL that holds a key is sent to conn: or env:, and no error shows it."""
    (line,) = _problems(_file(tmp_path, _key("endpoints", value)))
    assert line.startswith("chains.yaml:5: ethereum.endpoints: ")
    assert "conn:ID" in line or "env:NAME" in line
    assert SECRET.lower() not in line.lower()
    assert "apikey=abc" not in line


def test_registry_does_not_show_a_url_under_a_wrong_key(tmp_path: Path) -> None:
    """A secret may stand under any key."""
    (line,) = _problems(_file(tmp_path, _entry(f"owner: [https://u:{SECRET}@node.example]")))
    assert SECRET not in line


@pytest.mark.parametrize(
    "url",
    [
        "https://node.example",
        "http://127.0.0.1:8545",
        "http://[::1]:8545/",
        "https://api.avax.network/ext/bc/C/rpc",
        "https://node.example/ethereum-mainnet-archive",
    ],
)
def test_registry_takes_a_url_without_a_key(url: str, tmp_path: Path) -> None:
    """Paths of words are no keys."""
    chain = registry.load(_file(tmp_path, _key("endpoints", f"['{url}']"))).chain("ethereum")
    assert chain.endpoints == (url,)


@pytest.mark.parametrize("scheme", ["http", "https", "grpc", "grpcs"])
def test_registry_takes_the_schemes_of_the_family(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node of Sui is asked by gRPC, its checkpoint store by HTTP."""
    monkeypatch.setattr(lookup, "names", THE_PACKAGES)
    entry = GOOD.replace("evm", "sui").replace("conn:ethereum_rpc", f"{scheme}://node.example")
    assert registry.load(_file(tmp_path, entry)).chain("ethereum").family == "sui"


def test_registry_tells_all_mistakes_at_once(tmp_path: Path) -> None:
    """In the order of files and lines, across chains and files."""
    base = _file(tmp_path, f"defaults: {{owner: 5}}\n{_entry('strat: 1')}")
    stage = _file(tmp_path, "chains:\n  ethereum:\n    start: -1\n  base: {}\n", "stage.yaml")
    lines = [line.partition(" (")[0] for line in _problems(base, stage)]
    assert lines == [
        "chains.yaml:1: defaults.owner: is the number 5",
        "chains.yaml:7: ethereum.strat: unknown key",
        "stage.yaml:3: ethereum.start: is the number -1",
        "stage.yaml:4: base.family: is missing",
        "stage.yaml:4: base.blocks_per_minute: is missing",
        "stage.yaml:4: base.endpoints: is missing",
    ]


def test_registry_names_each_wrong_word_of_a_list(tmp_path: Path) -> None:
    """Two unknown datasets of one list are two lines, each at its own."""
    text = _entry("datasets:\n      - blocks\n      - logz\n      - transaction")
    lines = [line.partition(" (")[0] for line in _problems(_file(tmp_path, text))]
    assert lines == [
        "chains.yaml:8: ethereum.datasets: unknown dataset logz",
        "chains.yaml:9: ethereum.datasets: unknown dataset transaction",
    ]


def test_registry_tells_a_wrong_default_once(tmp_path: Path) -> None:
    """However many chains would have it."""
    text = f"defaults:\n  datasets: [blocks, log]\n{GOOD}  base:{GOOD.partition('ethereum:')[2]}"
    (line,) = _problems(_file(tmp_path, text))
    assert line.startswith("chains.yaml:2: defaults.datasets: unknown dataset log ")


@pytest.mark.parametrize("missing", ["nowhere.yaml", "."])
def test_registry_names_a_file_that_cannot_be_read(missing: str, tmp_path: Path) -> None:
    """A missing file and a folder get a line like any other mistake."""
    (line,) = _problems(tmp_path / "x" / ".." / missing)
    assert line.partition("yaml")[2] or line
    assert ":1: cannot be read: " in line
    assert line.endswith("(expected a YAML file)")


def test_later_file_wins_key_by_key(tmp_path: Path) -> None:
    """Of an entry and of the defaults, what a later file does not name stays."""
    base = _file(tmp_path, f"defaults: {{owner: us, env: prod}}\n{_entry('start: 7')}")
    stage = _file(
        tmp_path,
        "defaults: {env: stage}\nchains: {ethereum: {start: 0, finality: {confirmations: 3}}}\n",
        "stage.yaml",
    )
    chain = registry.load(base, stage).chain("ethereum")
    assert (chain.owner, chain.env, chain.start) == ("us", "stage", 0)
    assert (chain.finality_tag, chain.confirmations) == (None, 3)
    assert chain.endpoints == ("conn:ethereum_rpc",)


def test_later_file_that_is_wrong_is_the_one_named(tmp_path: Path) -> None:
    """The error points at the file that holds the offending key."""
    stage = _file(tmp_path, "chains:\n  ethereum:\n    family: evn\n", "stage.yaml")
    (line,) = _problems(_file(tmp_path, GOOD), stage)
    assert line.startswith("stage.yaml:3: ethereum.family: ")


def test_explicit_zero_wins_over_a_default(tmp_path: Path) -> None:
    """Defaults are laid under the entry before anything asks whether a value is true."""
    text = f"defaults: {{start: 9, finality: {{confirmations: 9}}}}\n{_entry('start: 0')}"
    text += "    finality: {confirmations: 0}\n"
    chain = registry.load(_file(tmp_path, text)).chain("ethereum")
    assert (chain.start, chain.confirmations) == (0, 0)


def test_alias_is_read_as_what_it_stands_for(tmp_path: Path) -> None:
    """Anchors that end are plain YAML."""
    text = _entry("tags: &tags [l1]") + "  base:\n    family: evm\n    blocks_per_minute: 1\n"
    text += "    endpoints: [env:BASE_URL]\n    tags: *tags\n"
    assert registry.load(_file(tmp_path, text)).chain("base").tags == ("l1",)


@pytest.mark.parametrize(
    ("finality", "tag", "confirmations"),
    [
        ("finalized", "finalized", 0),
        ("safe", "safe", 0),
        ("head", None, 0),
        ("{confirmations: 64}", None, 64),
    ],
)
def test_finality_becomes_a_tag_or_a_depth(
    finality: str, tag: str | None, confirmations: int, tmp_path: Path
) -> None:
    """A head that is final is a depth of 0."""
    chain = registry.load(_file(tmp_path, _entry(f"finality: {finality}"))).chain("ethereum")
    assert (chain.finality_tag, chain.confirmations) == (tag, confirmations)


def test_shortest_entry_gets_every_default(tmp_path: Path) -> None:
    """A chain that says nothing of finality is read up to what its node calls finalized."""
    chain = registry.load(_file(tmp_path, GOOD)).chain("ethereum")
    assert chain == Chain(
        name="ethereum",
        family="evm",
        chain_id=None,
        blocks_per_minute=5.0,
        finality_tag="finalized",
        endpoints=("conn:ethereum_rpc",),
    )


def test_retired_chain_needs_nothing_else(tmp_path: Path) -> None:
    """It is shown and never polled."""
    chain = registry.load(_file(tmp_path, "chains: {kujira: {status: retired}}\n")).chain("kujira")
    assert (chain.status, chain.family, chain.endpoints) == ("retired", "", ())


def test_defaults_of_the_schema_are_those_of_a_chain() -> None:
    """What an editor shows as default is what a chain gets."""
    of_chain = {
        field.name: field.default
        for field in dataclasses.fields(Chain)
        if field.default is not dataclasses.MISSING
    }
    for key, field in Entry.model_fields.items():
        if key in of_chain:
            shown = tuple(field.default) if isinstance(field.default, list) else field.default
            assert shown == of_chain[key], key


def test_tolerant_reading_keeps_the_good_chains(tmp_path: Path) -> None:
    """A bad entry costs its own chain alone."""
    text = f"{GOOD}  base:\n    family: evm\n  sonic:\n    family: evm\n    family: evm\n"
    found = registry.load_tolerant(_file(tmp_path, text))
    assert list(found.chains) == ["ethereum"]
    assert [line.rpartition(os.sep)[2].partition(" (")[0] for line in found.problems] == [
        "chains.yaml:6: base.blocks_per_minute: is missing",
        "chains.yaml:6: base.endpoints: is missing",
        "chains.yaml:8: sonic.blocks_per_minute: is missing",
        "chains.yaml:8: sonic.endpoints: is missing",
        "chains.yaml:10: sonic.family: stands twice, on lines 9 and 10",
    ]


def test_tolerant_reading_gives_no_chain_of_a_broken_file(tmp_path: Path) -> None:
    """Nor of the whole one it would have been laid over."""
    found = registry.load_tolerant(_file(tmp_path, GOOD), _file(tmp_path, "\t", "stage.yaml"))
    assert not found.chains
    assert len(found.problems) == 1
    assert "stage.yaml:1: " in found.problems[0]


def test_unknown_chain_is_answered_with_the_nearest(tmp_path: Path) -> None:
    """And with all there are."""
    found = registry.load(_file(tmp_path, GOOD))
    with pytest.raises(
        UnknownChain, match=r"no chain etherium \(expected one of ethereum; did you"
    ):
        found.chain("etherium")


def test_registry_is_found_by_variable_then_beside_then_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable names layers; a DAG file's own folder comes before the folder above."""
    dags = tmp_path / "dags"
    dags.mkdir()
    generate = _file(dags, "", "generate.py")
    monkeypatch.delenv("CHAINFLOW_REGISTRY", raising=False)
    assert registry.find(generate) == registry.find() == (Path("chains.yaml"),)
    above = _file(tmp_path, GOOD)
    assert registry.find(generate) == registry.find(dags) == (above,)
    beside = _file(dags, GOOD)
    assert registry.find(generate) == (beside,)
    monkeypatch.setenv("CHAINFLOW_REGISTRY", f"a.yaml{os.pathsep}b.yaml")
    assert registry.find(generate) == (Path("a.yaml"), Path("b.yaml"))


def test_schema_file_is_the_one_of_the_model() -> None:
    """After an edit of the model, json.dumps(registry.json_schema(), indent=2) renews it."""
    shipped = json.loads((ROOT / "chains.schema.json").read_text(encoding="utf-8"))
    assert shipped == registry.json_schema()


def test_every_key_of_the_schema_is_described() -> None:
    """An editor shows a sentence and what is expected, with the unit, for each key."""
    for key, field in Entry.model_fields.items():
        assert field.description, key
        assert field.title, key
        if key.endswith("_minutes"):
            assert "Unit: minutes." in field.description


def test_registry_of_the_project_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The talk's fifteen chains in its order, then ours; each asks a connection first."""
    monkeypatch.setattr(lookup, "names", THE_PACKAGES)
    path = ROOT / "chains.yaml"
    assert path.read_text(encoding="utf-8").startswith(
        "# yaml-language-server: $schema=./chains.schema.json\n"
    )
    chains = registry.load(path).chains
    ids = {name: (chain.family, chain.chain_id) for name, chain in chains.items()}
    assert ids == {
        "arbitrum": ("evm", 42161),
        "dydx": ("cosmos", "dydx-mainnet-1"),
        "ethereum": ("evm", 1),
        "optimism": ("evm", 10),
        "fantom": ("evm", 250),
        "injective": ("cosmos", "injective-1"),
        "mantle": ("evm", 5000),
        "tron": ("tron", 728126428),
        "polygon": ("evm", 137),
        "sui": ("sui", "4btiuiMPvEENsttpZC7CZ53DruC3MAgfznDbASZ7DR6S"),
        "avalanche": ("evm", 43114),
        "zksync": ("evm", 324),
        "bnb": ("evm", 56),
        "celo": ("evm", 42220),
        "kujira": ("cosmos", "kaiyo-1"),
        "base": ("evm", 8453),
        "sonic": ("evm", 146),
        "noble": ("cosmos", "noble-1"),
    }
    assert list(ids)[:3] == ["arbitrum", "dydx", "ethereum"]
    assert list(ids)[14:] == ["kujira", "base", "sonic", "noble"]
    assert [name for name, chain in chains.items() if chain.status == "retired"] == ["kujira"]
    live = {name: chain for name, chain in chains.items() if chain.status == "live"}
    assert all(chain.endpoints[0] == f"conn:{name}_rpc" for name, chain in live.items())
    assert all(len(chain.endpoints) > 1 for chain in live.values())
    assert all("transactions" in chain.datasets for chain in live.values())


def test_registry_of_the_project_begins_where_blocks_are_had_and_proven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Above 1 where it was another chain below: at Nitro, Bedrock, Mantle's own, and Celo's L2."""
    monkeypatch.setattr(lookup, "names", THE_PACKAGES)
    chains = registry.load(ROOT / "chains.yaml").chains.values()
    assert {chain.name: chain.start for chain in chains if chain.start > 1} == {
        "arbitrum": 22_207_817,
        "optimism": 105_235_063,
        "mantle": 61_171_946,
        "celo": 31_056_500,
    }


def test_registry_is_read_without_what_only_the_work_needs() -> None:
    """Reading it imports neither Arrow nor a database driver, an HTTP client, or web3."""
    code = (
        "import sys; from chainflow import registry; registry.load_tolerant(sys.argv[1]);"
        "print([m for m in sys.argv[2:] if m in sys.modules])"
    )
    heavy = ("pyarrow", "sqlalchemy", "psycopg2", "aiohttp", "httpx", "web3", "eth_abi", "airflow")
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "chains.yaml"), *heavy],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


# Registries in which the entry `b` is found without reading the others, and some where it is not.
LAYOUTS = {
    "plain": ("chains:\n  a: {x}\n  b: {x}\n  c: {x}\n", True),
    "alone": ("chains:\n  b: {x}\n", True),
    "comments": ("# top\nchains:  # all\n\n  # one\n  a: {x}\n  # two\n  b:\n\n#\n    {x}", True),
    "defaults below": ("chains:\n  a: {x}\n  b: {x}\ndefaults: {owner: us}\n", True),
    "defaults above": ("defaults:\n  owner: us\nchains:\n  b: {x}\n  a: {x}\n", True),
    "deep": ("chains:\n    a: {x}\n    b:\n        {x}\n", True),
    "windows": ("chains:\r\n  a: {x}\r\n  b: {x}\r\n", True),
    "broken neighbour": ("chains:\n  a: {start: -1}\n  b: {x}\n", True),
    "anchor": ("chains:\n  a: &a {x}\n  b: *a\n", False),
    "quoted": ("chains:\n  a: {x}\n  'b': {x}\n", False),
    "flow": ("chains: {a: {x}, b: {x}}\n", False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_load_one_is_the_chain_that_load_has(tmp_path: Path, layout: str) -> None:
    """Whether the file could be read in part or not; for every other name there is none."""
    text, in_part = LAYOUTS[layout]
    entry = "{family: evm, chain_id: 1, blocks_per_minute: 5, endpoints: ['conn:x']}"
    text = text.replace("{x}", entry)
    file = _file(tmp_path, text)
    assert registry.load_one("b", file) == registry.load_tolerant(file).chains["b"]
    assert registry.load_one("d", file) is None
    assert ("a:" in _yaml_lines.excerpt(text, "b")) is (not in_part)


@pytest.mark.parametrize(
    "text",
    [
        f"{GOOD}  ethereum:\n    family: evm\n",
        f"{GOOD}chain: 1\n",
        f"defaults: {{start: -1}}\n{GOOD}",
        f"{GOOD}    start: -1\n",
    ],
)
def test_load_one_has_no_chain_that_load_has_not(tmp_path: Path, text: str) -> None:
    """What is wrong with the entry, or with the file around it, leaves none."""
    file = _file(tmp_path, text)
    assert "ethereum" not in registry.load_tolerant(file).chains
    assert registry.load_one("ethereum", file) is None


def test_load_one_lays_its_layers(tmp_path: Path) -> None:
    """Files win key by key, one that does not name the chain included."""
    upper = _file(tmp_path, "defaults: {owner: them}\nchains:\n  b: {start: 1}\n", "upper.yaml")
    lower = _file(tmp_path, GOOD.replace("ethereum", "b") + "  a: {}\n")
    found = registry.load_one("b", lower, upper)
    assert found
    assert (found.owner, found.start) == ("them", 1)
