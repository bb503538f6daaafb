"""Formats: each row once, whatever the parts; types; predicates; what is broken."""

from __future__ import annotations

import gzip
import io
import json
import random

import hypothesis
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

import bascule
from bascule import filters as f
from bascule.sources.files import FilesDataSource
from bascule.sources.files._formats import _LinesOf
from bascule.sources.files._parts import _packed

SOURCE = "bascule.sources.files:FilesDataSource"
TABLE = pa.table(
    {
        "id": pa.array(range(1000)),
        "x": pa.array([None if i % 7 == 0 else i / 4 for i in range(1000)]),
        "name": pa.array([None if i % 5 == 0 else f"näme {i}" for i in range(1000)]),
    }
)


def files(path, **options):
    return bascule.table(SOURCE, path=path, **options)


@pytest.fixture(params=["inprocess", "process"])
def executor(request):
    return request.param


def written(folder, kind, table=TABLE, name="t"):
    """The table as a file of that kind."""
    path = folder / f"{name}.{kind}"
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=130)
    elif kind in ("arrow", "feather"):
        pyarrow.feather.write_feather(table, path, compression="uncompressed", chunksize=130)
    elif kind == "arrows":
        with pa.ipc.new_stream(path, table.schema) as out:
            out.write_table(table, max_chunksize=130)
    elif kind.startswith("csv"):
        rows = table.to_pylist()
        text = "id,x,name\n" + "".join(
            f"{row['id']},{'' if row['x'] is None else row['x']},{row['name'] or ''}\n" for row in rows
        )
        path.write_bytes(gzip.compress(text.encode()) if kind.endswith(".gz") else text.encode())
    else:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist())
        path.write_bytes(gzip.compress(text.encode()) if kind.endswith(".gz") else text.encode())
    return path


KINDS = ("parquet", "arrow", "feather", "arrows", "csv", "csv.gz", "json", "jsonl", "ndjson.gz")


@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_each_row_once_whatever_the_partitions(tmp_path, kind, n):
    path = written(tmp_path, kind)
    table = files(path, num_partitions=n, newlines_in_values=False, null_values="")
    assert table.schema.names == TABLE.column_names
    assert table.to_arrow().cast(TABLE.schema).equals(TABLE)
    parts = len(table.partitions())
    assert parts == (
        1 if kind in ("arrow", "feather", "arrows") or kind.endswith(".gz") else min(n, 8) if kind == "parquet" else n
    )


@pytest.mark.parametrize("kind", KINDS)
def test_columns_predicates_limits_and_counts(tmp_path, kind, executor):
    table = files(
        written(tmp_path, kind), num_partitions=3, newlines_in_values=False, null_values="", executor=executor
    )
    assert table.count() == 1000
    assert table.select("name").limit(3).to_arrow()["name"].to_pylist() == [None, "näme 1", "näme 2"]
    asked = table.where(f.GreaterThan("x", 10), f.In("id", [3, 50, 51, 999])).select("id")
    assert asked.to_arrow()["id"].to_pylist() == [50, 51, 999]
    assert table.where(f.IsNull("name"), pc.field("id") * 2 < 20).to_arrow()["id"].to_pylist() == [0, 5]


def test_parquet_is_pruned_by_its_statistics_and_filtered_while_it_is_read(tmp_path):
    table = files(written(tmp_path, "parquet"))
    asked = table.where(f.EqualTo("id", 500))
    assert asked.to_arrow().num_rows == 1
    last = bascule.scans().to_pylist()[0]
    assert last["rows"] == 1  # the class itself filtered
    assert table.count() == 1000
    assert bascule.scans().to_pylist()[0]["batches"] <= 1  # counted by the footer


@hypothesis.given(
    lines=st.lists(
        st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=8), max_size=30
    ),
    ends=st.booleans(),
    n=st.integers(1, 40),
    crlf=st.booleans(),
)
@hypothesis.settings(deadline=None, max_examples=400)
def test_each_line_is_in_one_part(lines, ends, n, crlf):
    data = ("\r\n" if crlf else "\n").join(lines).encode() + (b"\n" if ends else b"")
    marks = [len(data) * i // n for i in range(n + 1)]
    parts = [io.BufferedReader(_LinesOf(pa.BufferReader(data), marks[i], marks[i + 1])).read() for i in range(n)]
    assert b"".join(parts) == data
    whole = [part for part in parts if part]
    assert all(part.endswith(b"\n") for part in whole[:-1])


def test_lines_longer_than_a_part_and_than_a_block(tmp_path):
    rows = [{"id": i, "s": "x" * random.Random(i).choice([0, 5, 3_000_000])} for i in range(12)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for n in (1, 5, 30):
        assert files(tmp_path / "t.jsonl", num_partitions=n, block_bytes=4 << 20).to_arrow().to_pylist() == rows
    with pytest.raises(bascule.BasculeError, match="A line is longer than block_bytes: give more"):
        files(tmp_path / "t.jsonl").to_arrow()


@hypothesis.given(weights=st.lists(st.integers(0, 1000), min_size=1, max_size=60), n=st.integers(1, 20))
def test_partitions_hold_each_unit_once_in_order_and_are_of_about_equal_weight(weights, n):
    units = [(weight, 1, {"of": 0, "path": str(i), "size": 1, "part": None}) for i, weight in enumerate(weights)]
    packed = _packed(units, n)
    assert [part["path"] for spec in packed for part in spec["parts"]] == [str(i) for i in range(len(weights))]
    assert 1 <= len(packed) <= n
    assert sum(spec["bascule_rows"] for spec in packed) == len(weights)
    most = max(sum(weights[int(part["path"])] for part in spec["parts"]) for spec in packed)
    assert most <= sum(weights) / n + max(weights) + 1


def test_parquet_as_pyarrow_reads_it(tmp_path):
    """Random predicates over random row groups: as pyarrow.dataset says, where both mean the same."""
    for i in range(4):
        pq.write_table(TABLE.slice(250 * i, 250), tmp_path / f"{i}.parquet", row_group_size=60)
    whole = ds.dataset(tmp_path).to_table()
    table = files(tmp_path, num_partitions=5)
    chance = random.Random(1)
    for _ in range(60):
        low, high = sorted(chance.choices(range(-5, 1005), k=2))
        expression = (pc.field("id") >= low) & (pc.field("id") < high)
        predicate = f.And(f.GreaterThanOrEqual("id", low), f.LessThan("id", high))
        expected = whole.filter(expression)
        for asked in (table.where(predicate), table.where(expression)):
            assert asked.to_arrow().sort_by("id").equals(expected)


def test_types_of_parquet_arrive_as_they_are(tmp_path):
    schema = pa.schema(
        [
            ("d", pa.decimal128(20, 3)),
            ("l", pa.list_(pa.int32())),
            ("s", pa.struct({"a": pa.string()})),
            ("t", pa.timestamp("us", "UTC")),
        ]
    )
    rows = pa.table([[None, 1], [[1, None], []], [{"a": "é"}, None], [0, None]], schema=schema)
    pq.write_table(rows, tmp_path / "t.parquet")
    assert files(tmp_path).to_arrow().equals(rows)


def test_csv_as_it_is_told(tmp_path):
    (tmp_path / "t.csv").write_bytes("1;'a;b';NA\n2;\"x;'it\\'s'\n".replace('"x', "'x'").encode("latin-1"))
    table = files(tmp_path, header=False, delimiter=";", quote="'", escape="\\", null_values="NA,-", encoding="latin-1")
    assert table.to_arrow().to_pylist() == [{"f0": 1, "f1": "a;b", "f2": None}, {"f0": 2, "f1": "x", "f2": "it's"}]
    (tmp_path / "t.csv").write_text('a,b\n1,"two\nlines"\n2,x\n')
    assert files(tmp_path, num_partitions=9).to_arrow()["b"].to_pylist() == ["two\nlines", "x"]


class Upper:
    """A format of one's own: a word a line."""

    def schema(self, file):
        return pa.schema([("word", pa.string())])

    def read(self, file):
        yield pa.record_batch({"word": file.read().decode().upper().split()})


def test_a_format_by_a_class(tmp_path):
    (tmp_path / "a.words").write_text("ann bo")
    (tmp_path / "b.words").write_text("cy")
    table = files(tmp_path, parser="sources.files.test_formats:Upper")
    assert table.to_arrow()["word"].to_pylist() == ["ANN", "BO", "CY"]
    for parser, words in (
        ("no.such:P", "can't be found"),
        ("json:loads", "has no method schema, read"),
        ("json", "can't be found"),
    ):
        with pytest.raises(bascule.BasculeError, match=words):
            _ = files(tmp_path, parser=parser).schema


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("t.parquet", b"PAR1 no parquet", "can't read the columns of .*t.parquet: .*[Pp]arquet"),
        ("t.parquet", b"", "can't read the columns of .*t.parquet"),
        ("t.arrow", b"ARROW1\0\0nothing", "can't read the columns of .*t.arrow"),
        ("t.json", b"<html>", "can't read the columns of .*t.json: JSON parse error"),
        ("t.csv", b"", "can't read the columns of .*t.csv: Empty CSV file"),
        ("t.xyz", b"1", "the format of .*t.xyz is not clear by its name: give format := parquet, csv, json, arrow"),
    ],
)
def test_garbage_is_named(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(bascule.BasculeError, match=words):
        files(tmp_path / name).to_arrow()


def test_a_value_that_does_not_fit_later_names_the_file(tmp_path):
    (tmp_path / "a.csv").write_text("id,n\n1,2\n")
    (tmp_path / "b.csv").write_text("id,n\n1,two\n")
    with pytest.raises(
        bascule.BasculeError, match=r"can't read .*b\.csv: .*CSV conversion error to int64: invalid value 'two'"
    ):
        files(tmp_path).to_arrow()


def test_columns_of_other_files_are_taken_by_name_and_misfits_are_errors(tmp_path):
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": ["y"], "more": [0], "a": [2]}), tmp_path / "2.parquet")
    assert files(tmp_path).to_arrow().to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    pq.write_table(pa.table({"a": [3]}), tmp_path / "3.parquet")
    with pytest.raises(bascule.BasculeError, match="column 'b' is missing"):
        files(tmp_path).to_arrow()
    evolved = files(tmp_path, bascule_schema_mode="evolve").to_arrow()
    assert evolved.to_pylist()[2] == {"a": 3, "b": None}


@pytest.mark.parametrize(
    ("second", "evolved"),
    [
        ({}, [[2], [10, 20], [1]]),
        ({"x": pa.array([1, 9], pa.int32())}, [[2, 20], [], [1, 10]]),
        ({"x": pa.array(["1", "9"])}, None),
        ({"x": pa.array([1.5, 9.5])}, None),
    ],
    ids=["missing", "narrower", "text", "double"],
)
def test_a_predicate_of_a_column_that_another_file_has_not_or_has_otherwise_loses_and_keeps_no_row(
    tmp_path, second, evolved
):
    """The column is the predicate's alone: the error, or what evolve makes of it, is that of a query which reads it."""
    pq.write_table(pa.table({"id": [1, 2], "x": [1, 9]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"id": [10, 20], **second}), tmp_path / "2.parquet")
    predicates = (f.GreaterThan("x", 5), f.IsNull("x"), f.Not(f.EqualTo("x", 9)))
    for i, predicate in enumerate(predicates):
        with pytest.raises(bascule.BasculeError, match="column 'x' is"):
            files(tmp_path).where(predicate).select("id").to_arrow()
        table = files(tmp_path, bascule_schema_mode="evolve").where(predicate).select("id")
        if evolved is None:
            with pytest.raises(bascule.BasculeError, match="which could change values"):
                table.to_arrow()
        else:
            assert table.to_arrow()["id"].to_pylist() == evolved[i]


def test_many_files_are_chosen_by_their_folders_in_one_pass(tmp_path, monkeypatch):
    from bascule.sources.files import _hive

    calls = []
    real = _hive.filter_table
    monkeypatch.setattr(_hive, "filter_table", lambda *given: calls.append(1) or real(*given))
    for i in range(40):
        (tmp_path / f"n={i}").mkdir()
        (tmp_path / f"n={i}" / "f.csv").write_text("x\n1\n")
    source, options = FilesDataSource(), {"path": str(tmp_path)}
    specs = source.plan_partitions(options, filters=[f.In("n", [3, 30])])
    assert [part["path"].split("/")[-2] for spec in specs for part in spec["parts"]] == ["n=3", "n=30"]
    assert len(calls) == 1
