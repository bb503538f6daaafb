"""The columns and their values: as declared, or inferred, and never another value."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bascule import BasculeError, OptionError
from bascule.sources._json import Path, decode, encode
from bascule.sources._json_schema import Sample, declared_schema, is_double
from bascule.sources._json_values import Misfit, Rows
from bascule.sources.rest import RestDataSource
from sources.rest.api import Reply, paged, rows
from sources.rest.reading import EXECUTORS, read, table


def inferred(text: str) -> pa.Schema:
    return Sample.schema(decode(text))


def made(text: str, schema: str | None = None) -> list[dict]:
    """The records as rows."""
    records = decode(text)
    found = Sample.schema(records) if schema is None else declared_schema(schema)
    return Rows(found, schema is not None).batch(records, found.names).to_pylist()


@pytest.mark.parametrize(
    ("values", "kind", "read_as"),
    [
        ("[1, 2, null]", pa.int64(), [1, 2, None]),
        ("[1, 2.5]", pa.float64(), [1.0, 2.5]),
        ("[true, false]", pa.bool_(), [True, False]),
        ('["a", "ü", "\\u0000", "\U0001f600"]', pa.string(), ["a", "ü", "\0", "\U0001f600"]),
        ("[null, null]", pa.string(), [None, None]),
        ('[1, "a", true, {"b": 1.50}, [1, "ü"], null]', pa.string(), ["1", "a", "true", '{"b":1.50}', '[1,"ü"]', None]),
        ("[1, true]", pa.string(), ["1", "true"]),
        ("[9223372036854775807, -9223372036854775808]", pa.int64(), [2**63 - 1, -(2**63)]),
        ("[9223372036854775808, 1]", pa.string(), ["9223372036854775808", "1"]),
        ("[9007199254740993, 0.5]", pa.string(), ["9007199254740993", "0.5"]),
        ("[0.1, 1e3, 1E-7, -0.0]", pa.float64(), [0.1, 1000.0, 1e-7, -0.0]),
        ("[0.30000000000000004, 12.5000000000000000000]", pa.float64(), [0.30000000000000004, 12.5]),
        ("[3.14159265358979323846]", pa.string(), ["3.14159265358979323846"]),
        ("[1e400]", pa.string(), ["1e400"]),
        ('["2026-01-01T00:00:00Z"]', pa.string(), ["2026-01-01T00:00:00Z"]),
        ("[[1, 2], [], [2.5], null]", pa.list_(pa.float64()), [[1.0, 2.0], [], [2.5], None]),
        ("[[], []]", pa.list_(pa.string()), [[], []]),
        ("[{}, {}]", pa.string(), ["{}", "{}"]),
        ('[{"a": 1}, {"b": "x"}, {}, null]', pa.struct([("a", pa.int64()), ("b", pa.string())]),
         [{"a": 1, "b": None}, {"a": None, "b": "x"}, {"a": None, "b": None}, None]),
        ('[[{"a": [1]}], [{"a": null}]]', pa.list_(pa.struct([("a", pa.list_(pa.int64()))])), [[{"a": [1]}], [{"a": None}]]),
        ('[[1], {"a": 1}]', pa.string(), ["[1]", '{"a":1}']),
        ("[[1], {}]", pa.string(), ["[1]", "{}"]),
    ],
)  # fmt: skip
def test_a_column_is_inferred(values, kind, read_as):
    text = "[" + ",".join(f'{{"v": {encode(v)}}}' for v in decode(values)) + "]"
    assert inferred(text).field("v").type == kind
    assert [row["v"] for row in made(text)] == read_as


def test_columns_come_in_the_order_in_which_they_are_met():
    assert inferred('[{"b": 1}, {"a": 1, "b": 2, "": 3}]').names == ["b", "a", ""]


@pytest.mark.parametrize(
    ("kind", "value", "read_as"),
    [
        ("BIGINT", "7", 7),
        ("BIGINT", '"007"', 7),
        ("BIGINT", "7.0", 7),
        ("BIGINT", "1e3", 1000),
        ("TINYINT", "-128", -128),
        ("UBIGINT", "18446744073709551615", 2**64 - 1),
        ("HUGEINT", "9" * 38, Decimal("9" * 38)),
        ("DOUBLE", "3.14159265358979323846", 3.141592653589793),
        ("DOUBLE", '"1.5"', 1.5),
        ("FLOAT", "0.1", 0.10000000149011612),
        ("DECIMAL(10, 2)", "0.10", Decimal("0.10")),
        ("DECIMAL(10, 2)", '"12.3000"', Decimal("12.30")),
        ("DECIMAL(10, 2)", "-0.0", Decimal("0.00")),
        ("DECIMAL(38, 20)", "3.14159265358979323846", Decimal("3.14159265358979323846")),
        ("BOOLEAN", '"True"', True),
        ("VARCHAR", "1.10", "1.10"),
        ("VARCHAR", '{"a": [1.10, "ü", null, true]}', '{"a":[1.10,"ü",null,true]}'),
        ("DATE", '"2026-02-28"', datetime.date(2026, 2, 28)),
        ("TIME", '"10:30:00.5"', datetime.time(10, 30, 0, 500000)),
        ("TIMESTAMP", '"2026-01-01T10:00:00"', datetime.datetime(2026, 1, 1, 10)),
        ("TIMESTAMP", '"2026-01-01 10:00:00+02:00"', datetime.datetime(2026, 1, 1, 8)),
        ("TIMESTAMP", '"2026-01-01T10:00:00.123456000"', datetime.datetime(2026, 1, 1, 10, 0, 0, 123456)),
        ("TIMESTAMPTZ", '"2026-01-01T10:00:00.000001Z"', datetime.datetime(2026, 1, 1, 10, 0, 0, 1, datetime.UTC)),
        ("MAP(VARCHAR, INTEGER)", '{"a": 1, "b": null}', [("a", 1), ("b", None)]),
        ("STRUCT(a INTEGER, b VARCHAR[])", '{"b": ["x"], "c": 1}', {"a": None, "b": ["x"]}),
    ],
)
def test_a_value_is_read_as_declared(kind, value, read_as):
    assert made(f'[{{"v": {value}}}, {{"v": null}}, {{}}]', f"v {kind}") == [{"v": read_as}, {"v": None}, {"v": None}]


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("BIGINT", "9223372036854775808", "'v' is a number, 9223372036854775808, which is no BIGINT: it is beyond that; declare it DECIMAL(38, 0) or VARCHAR"),
        ("INTEGER", "2147483648", "which is no INTEGER: it is beyond that; declare it BIGINT by option 'schema'"),
        ("UTINYINT", "-1", "is no UTINYINT"),
        ("BIGINT", "1.5", "it has a fraction; declare it DOUBLE or DECIMAL"),
        ("BIGINT", "1e300", "it is beyond that"),
        ("BIGINT", '"x"', "'v' is text, \"x\", which is no BIGINT"),
        ("BIGINT", '"1_000"', "is no BIGINT"),
        ("BIGINT", "true", "'v' is true or false, true, which is no BIGINT"),
        ("BIGINT", "{}", "'v' is an object, {}, which is no BIGINT"),
        ("DOUBLE", "9007199254740993", "it has more digits than that holds"),
        ("DOUBLE", "1e400", "it is beyond that; declare it VARCHAR"),
        ("FLOAT", "1e39", "it is beyond that"),
        ("DOUBLE", '"nan"', "is no DOUBLE"),
        ("DECIMAL(4, 2)", "0.123", "it has more digits than that holds"),
        ("DECIMAL(4, 2)", "100", "it has more digits than that holds"),
        ("DECIMAL(4, 2)", '"Infinity"', "is no DECIMAL(4,2)"),
        ("BOOLEAN", "1", "'v' is a number, 1, which is no BOOLEAN"),
        ("DATE", '"2026-02-30"', "is no DATE"),
        ("DATE", '"2026-01-01T00:00:00Z"', "is no DATE"),
        ("TIMESTAMP", "1767225600", "a time is read from ISO 8601 text; declare it BIGINT or DOUBLE"),
        ("TIMESTAMP", '"2026-01-01T10:00:00.1234567"', "it is finer than a microsecond; declare it VARCHAR"),
        ("TIMESTAMPTZ", '"2026-01-01T10:00:00"', "it has no time zone; declare it TIMESTAMP"),
        ("TIME", '"10:00:00Z"', "it has a time zone"),
        ("VARCHAR", '"\\ud800"', "it has half of a surrogate pair, which is no character"),
        ("STRUCT(a STRUCT(b INTEGER[]))", '{"a": {"b": [1, "x"]}}', "'v.a.b[1]' is text, \"x\", which is no INTEGER"),
        ("STRUCT(a INTEGER)", "[1]", "'v' is a list, [1], which is no STRUCT"),
        ("INTEGER[]", "1", "which is no list"),
        ("MAP(VARCHAR, INTEGER)", '{"k": "x"}', "'v.k' is text"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_an_error(kind, value, message):
    with pytest.raises(Misfit) as caught:
        made(f'[{{"v": null}}, {{"v": {value}}}]', f"v {kind}")
    assert message in caught.value.text
    assert caught.value.record == 1


def test_digits_that_a_double_would_lose_are_an_error_where_the_column_was_inferred():
    schema = inferred('[{"v": 0.5}]')
    with pytest.raises(Misfit) as caught:
        Rows(schema, False).batch(decode('[{"v": 3.14159265358979323846}]'), ["v"])
    assert "it has more digits than that holds; declare it DECIMAL or VARCHAR" in caught.value.text
    with pytest.raises(Misfit):
        Rows(schema, False).batch(decode('[{"v": "1.5"}]'), ["v"])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_is_one(value):
    assert is_double(repr(value))
    assert made(f'[{{"v": {value!r}}}]', "v DOUBLE") == [{"v": value}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON, min_size=1), min_size=1, max_size=5))
def test_whatever_is_sampled_can_be_read(records):
    """Each value comes back as it was, or as its JSON text."""
    text = json.dumps(records)
    schema = inferred(text)
    batch = Rows(schema, False).batch(decode(text), schema.names)
    batch.validate(full=True)
    for record, row in zip(records, batch.to_pylist(), strict=True):
        for name, value in row.items():
            assert same(record.get(name), value), (record, row)


def same(value, read_as) -> bool:
    if isinstance(read_as, str) and not isinstance(value, str):
        return json.loads(read_as) == value
    if isinstance(read_as, dict):
        return all(same(value.get(name), item) for name, item in read_as.items())
    if isinstance(read_as, list):
        return len(value) == len(read_as) and all(map(same, value, read_as))
    return value == read_as


# ---- the option schema, the option records ----


def test_a_schema_is_declared():
    found = declared_schema(
        'id BIGINT, "odd name" TEXT, at TIMESTAMP WITH TIME ZONE, l INTEGER[][], s STRUCT(a DATE)[]'
    )
    assert found == pa.schema(
        {
            "id": pa.int64(),
            "odd name": pa.string(),
            "at": pa.timestamp("us", "UTC"),
            "l": pa.list_(pa.list_(pa.int32())),
            "s": pa.list_(pa.struct({"a": pa.date32()})),
        }
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no list of names and types"),
        ("id", "is no list of names and types"),
        ("id BIGINT) ; DROP TABLE x; (", "is no list of names and types"),
        ("id BIGINT NOT NULL", "is no list of names and types"),
        ("id BIGINT, id VARCHAR", "names 'id' twice"),
        ("id BLOB", "gives 'id' the type BLOB, which is not among those that JSON is read as"),
        ("id DECIMAL(50, 2)", "gives 'id' the type DECIMAL"),
        ("m MAP(INTEGER, INTEGER)", "gives 'm' the type MAP"),
        ("s STRUCT(a JSON)", "gives 's.a' the type JSON"),
    ],
)
def test_what_is_no_schema_is_an_error(text, message):
    with pytest.raises(OptionError, match="option 'schema'") as caught:
        declared_schema(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        ("$", [1], [1]),
        ("$.data.items", {"data": {"items": [1]}}, [1]),
        ("data.items", {"data": {"items": [1]}}, [1]),
        ("$.data[0].rows", {"data": [{"rows": 2}]}, 2),
        ("data[-1].id", {"data": [{"id": 1}, {"id": 2}]}, 2),
        ("$['odd.name']", {"odd.name": 3}, 3),
        ('$["a b"].c', {"a b": {"c": 4}}, 4),
        ("@odata.nextLink", {}, None),
    ],
)
def test_a_path_leads_to_a_value(path, body, found):
    if found is None:
        with pytest.raises(ValueError, match=r"a path such as \$.data.items"):
            Path.parse(path)
    else:
        assert Path.parse(path).at(body) == found


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (
            "$.data",
            {"items": [], "count": 0},
            "'$.data' is not in the response: '$' is an object with the keys items, count",
        ),
        ("$.data.items", {"data": {"rows": 1}}, "'$.data' is an object with the keys rows"),
        ("$.data.items", {"data": [1, 2]}, "'$.data' is a list of 2"),
        ("$.data.items", {"data": "x"}, "'$.data' is text"),
        ("$.data.items", {"data": None}, "'$.data' is null"),
        ("$.data[3]", {"data": []}, "'$.data' is a list of 0"),
        ("$.data[3].x", {"data": []}, "'$.data' is a list of 0"),
        ("$.a", {str(i): i for i in range(30)}, "10, 11, …"),
        ("$.a", {}, "'$' is an empty object"),
    ],
)
def test_a_path_that_leads_nowhere_says_what_is_there(path, body, message):
    with pytest.raises(BasculeError) as caught:
        Path.parse(path).at(body)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "$.", "$..a", "$.a[*]", "a[b]", "$.a[?(@.x)]", ".a", "header:"])
def test_what_is_no_path_is_an_error(text):
    with pytest.raises(ValueError, match="a path such as"):
        Path.parse(text)


# ---- as read ----


def test_a_record_path_that_leads_nowhere_names_the_request(serve):
    api = serve(lambda request: {"data": {"rows": []}})
    with pytest.raises(
        BasculeError,
        match=r"GET http://\S+: option 'records': '\$.data.items' is not in the response: '\$.data' is an object with the keys rows",
    ):
        read(api.url, records="$.data.items")  # fmt: skip


def test_one_object_is_one_row_and_null_is_none(serve):
    api = serve(lambda request: {"data": {"id": 1}, "none": None})
    assert read(api.url, records="data").to_pylist() == [{"id": 1}]
    assert read(api.url, records="none", schema="id BIGINT").num_rows == 0


def test_an_empty_result_needs_a_schema(serve):
    api = serve(lambda request: [])
    with pytest.raises(BasculeError, match="no record to infer the columns from: give them by option 'schema'"):
        read(api.url)
    found = read(api.url, schema="id BIGINT, name VARCHAR", pagination="page")
    assert (found.num_rows, found.schema.names) == (0, ["id", "name"])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_value_beyond_the_sample_is_an_error_that_says_where(serve, executor):
    records = rows(40)
    records[33] = {"id": "a" * 500, "name": None}
    api = serve(paged(records))
    made = table(api.url, pagination="page", records="data", sample=10, executor=executor)
    with pytest.raises(BasculeError) as caught:
        made.to_arrow()
    text = str(caught.value)
    assert "?page=4: page 4, record 4: 'id' is text, \"aaaaa" in text
    assert "…, which is no BIGINT. Declare it by option 'schema': VARCHAR takes any value" in text
    assert len(text) < 400
    assert made.select("name").to_arrow().num_rows == 40  # a column that isn't read is not looked at


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_schema_that_changes_between_plan_and_read_keeps_the_plans(serve, executor):
    api = serve(paged(rows(30)))
    made = table(api.url, pagination="page", records="data", total="meta.total", executor=executor)
    partitions = made.partitions()
    api.answer = paged([{"new": 1, "id": i} for i in range(30)])
    found = pa.concat_tables(p.to_reader().read_all() for p in partitions)
    assert found.schema == made.schema
    assert found.select(["id", "name"]).to_pylist() == [{"id": i, "name": None} for i in range(30)]


def test_a_partition_knows_its_columns(serve):
    api = serve(paged(rows(30)))
    options = {"url": api.url, "pagination": "page", "records": "data"}
    planning, reading = RestDataSource(), RestDataSource()
    (spec,) = planning.plan_partitions(options)
    api.answer = paged([{"new": 1, "id": i} for i in range(10)])
    api.requests.clear()
    (batch,) = reading.read_partition(spec, options)
    assert batch.schema == planning.infer_schema(options)
    assert [q["page"] for q in api.queries] == ["1", "2"]
    planning.close()
    reading.close()


def test_a_sample_is_as_large_as_it_needs_to_be(serve):
    api = serve(paged(rows(1000)))
    for sample, pages in ((1, 1), (10, 1), (11, 2), (1000, 5)):
        api.requests.clear()
        assert table(api.url, pagination="page", records="data", sample=sample).schema.names
        assert len(api.requests) == pages, sample


def test_huge_values_are_read(serve):
    text = "ü" * 3_000_000
    api = serve(lambda request: [{"id": 1, "text": text, "list": list(range(100_000))}])
    (row,) = read(api.url).to_pylist()
    assert row == {"id": 1, "text": text, "list": list(range(100_000))}


def test_unicode_is_read_and_asked_for(serve):
    api = serve(lambda request: [{"ключ": "значение", "q": request.query["q&="]}])
    assert read(api.url, params='{"q&=": "ü & ? # \U0001f600"}').to_pylist() == [
        {"ключ": "значение", "q": "ü & ? # \U0001f600"}
    ]


def test_parameters_of_a_url_stay(serve):
    api = serve(lambda request: Reply([dict(request.pairs)]))
    options = {"params": '{"b": [1, true, 2.50], "c": null}', "pagination": "none"}
    assert read(f"{api.url}/?a=1&b=0", **options).to_pylist() == [{"a": "1", "b": "2.50"}]
    assert api.requests[-1].pairs == [("a", "1"), ("b", "1"), ("b", "true"), ("b", "2.50")]
    assert api.requests[-1].headers["user-agent"].startswith("bascule/")
