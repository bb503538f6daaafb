"""Predicates as parameters: a superset of the rows, never a loss; the same rows as without."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bascule
from bascule import BasculeError
from bascule import filters as f
from bascule.sources._json_schema import declared_schema
from bascule.sources.rest import RestDataSource
from bascule.sources.rest._template import Template, entries
from sources.rest.api import Api, paged
from sources.rest.reading import SOURCE, ids, table

SCHEMA = "id BIGINT, kind VARCHAR, price DOUBLE, amount DECIMAL(10, 2), open BOOLEAN, day DATE, at TIMESTAMP, tz TIMESTAMPTZ, f FLOAT"
COLUMNS = declared_schema(SCHEMA)


def template(**parameters) -> Template:
    """Of ``entries``, with _ for a blank."""
    return Template(entries(json.dumps(parameters)), COLUMNS)


def of(column: str, value) -> pa.Scalar:
    return pa.scalar(value, COLUMNS.field(column).type)


UTC = datetime.UTC
AT = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000)


@pytest.mark.parametrize(
    ("entry", "predicate", "pushed"),
    [
        ({"kind =": "k"}, f.EqualTo("kind", "a,b & c"), {"k": "a,b & c"}),
        ({"kind =": "k"}, f.EqualNullSafe("kind", "a"), {"k": "a"}),
        ({"kind =": "k"}, f.EqualNullSafe("kind", None), {}),
        ({"kind =": "k"}, f.EqualTo("kind", None), {}),
        ({"kind =": "k"}, f.EqualTo("kind", ""), {}),
        ({"kind =": "k"}, f.In("kind", ["a"]), {"k": "a"}),
        ({"kind =": "k"}, f.In("kind", ["a", "b"]), {}),
        ({"kind IN": "k"}, f.In("kind", ["a", "b"]), {"k": ["a", "b"]}),
        ({"kind IN": "k"}, f.In("kind", ["a", "b,c"]), {}),
        ({"kind IN": {"param": "k", "repeat": True}}, f.In("kind", ["a", "b,c"]), {"k": ["a", "b,c"]}),
        ({"kind IN": "k"}, f.In("kind", ["a", None]), {}),
        ({"kind IN": "k"}, f.In("kind", []), {}),
        ({"kind in": "k"}, f.EqualTo("kind", "a"), {"k": "a"}),
        ({"id IN": "ids"}, f.In("id", range(1, 101)), {"ids": list(range(1, 101))}),
        ({"id IN": "ids"}, f.In("id", range(1, 102)), {}),
        ({"id >=": "from"}, f.GreaterThan("id", 7), {"from": 7}),
        ({"id >": "after", "id >=": "from"}, f.GreaterThan("id", 7), {"after": 7}),
        ({"id >": "after"}, f.GreaterThanOrEqual("id", 7), {}),
        ({"id <=": "to"}, f.LessThan("id", 7), {"to": 7}),
        ({"id >=": "from", "id <=": "to"}, f.EqualTo("id", 7), {"from": 7, "to": 7}),
        ({"id >=": "from", "id <=": "to"}, f.And(f.GreaterThan("id", 1), f.LessThan("id", 7)), {"from": 1, "to": 7}),
        ({"id =": "id"}, f.Not(f.EqualTo("id", 7)), {}),
        ({"id =": "id"}, f.Or(f.EqualTo("id", 7), f.EqualTo("id", 8)), {}),
        ({"id =": "id"}, f.IsNull("id"), {}),
        ({"id =": "id"}, f.EqualTo("kind", "7"), {}),
        ({"id =": "id"}, f.EqualTo("id", 7.5), {}),
        ({"kind =": "k"}, f.EqualTo("kind", 7), {}),
        ({"open =": "o"}, f.EqualTo("open", True), {"o": True}),
        ({"price >=": "p"}, f.GreaterThanOrEqual("price", 0.1), {"p": 0.1}),
        ({"price >=": "p"}, f.GreaterThanOrEqual("price", float("nan")), {}),
        ({"price <=": "p"}, f.LessThanOrEqual("price", float("inf")), {}),
        ({"f =": "f"}, f.EqualTo("f", of("f", 0.1)), {}),
        ({"amount =": "a"}, f.EqualTo("amount", of("amount", Decimal("1.10"))), {"a": "1.10"}),
        ({"day =": "d"}, f.EqualTo("day", datetime.date(2026, 1, 2)), {"d": "2026-01-02"}),
        ({"day >=": {"param": "d", "format": "unix"}}, f.GreaterThan("day", datetime.date(1970, 1, 2)), {"d": 86400}),
        ({"at >=": "s"}, f.GreaterThan("at", of("at", AT)), {"s": "2026-01-02T03:04:05.678000"}),
        ({"tz >=": "s"}, f.GreaterThan("tz", of("tz", AT.replace(tzinfo=UTC))), {"s": "2026-01-02T03:04:05.678000Z"}),
        ({"tz >=": {"param": "s", "format": "unix"}}, f.GreaterThan("tz", of("tz", AT.replace(tzinfo=UTC))), {"s": 1767323045}),
        ({"tz <=": {"param": "s", "format": "unix"}}, f.LessThan("tz", of("tz", AT.replace(tzinfo=UTC))), {"s": 1767323046}),
        ({"tz =": {"param": "s", "format": "unix"}}, f.EqualTo("tz", of("tz", AT.replace(tzinfo=UTC))), {}),
        ({"tz =": {"param": "s", "format": "unix_ms"}}, f.EqualTo("tz", of("tz", AT.replace(tzinfo=UTC))), {"s": 1767323045678}),
        ({"at >=": {"param": "s", "format": "date"}}, f.GreaterThan("at", of("at", AT)), {"s": "2026-01-02"}),
        ({"at <=": {"param": "s", "format": "date"}}, f.LessThan("at", of("at", AT)), {"s": "2026-01-03"}),
        ({"at <=": {"param": "s", "format": "date"}}, f.LessThan("at", of("at", AT.replace(year=9999, month=12, day=31))), {}),
        ({"kind >=": {"param": "s", "format": "unix"}}, f.GreaterThan("kind", "2026-01-02"), {}),
        ({"kind starts_with": "p"}, f.StringStartsWith("kind", "ab"), {"p": "ab"}),
        ({"kind contains": "p"}, f.StringContains("kind", ""), {}),
        ({"kind =": "k", "kind IN": "k"}, f.And(f.EqualTo("kind", "a"), f.In("kind", ["b", "c"])), {"k": "a"}),
    ],
    ids=str,
)  # fmt: skip
def test_a_predicate_is_a_parameter(entry, predicate, pushed):
    assert template(**entry).pushed([predicate]) == pushed


@pytest.mark.parametrize(
    ("entry", "predicate", "claimed"),
    [
        ("kind =", f.EqualTo("kind", "a"), True),
        ("kind =", f.EqualNullSafe("kind", "a"), True),
        ("kind IN", f.In("kind", ["a", "b"]), True),
        ("kind IN", f.EqualTo("kind", "a"), True),
        ("id >", f.GreaterThan("id", 1), True),
        ("id >=", f.GreaterThan("id", 1), False),
        ("at >=", f.GreaterThanOrEqual("at", of("at", AT)), True),
        ("id =", f.Or(f.EqualTo("id", 1), f.EqualTo("id", 2)), False),
        ("id =", f.And(f.EqualTo("id", 1), f.EqualTo("id", 1)), False),
    ],
    ids=str,
)
def test_only_what_is_marked_exact_and_said_exactly_is_claimed(entry, predicate, claimed):
    assert template(**{entry: "p"}).claims(predicate) is None
    assert (template(**{entry: {"param": "p", "exact": True}}).claims(predicate) is not None) == claimed


def test_a_rounded_moment_is_not_claimed():
    made = template(**{"at >=": {"param": "s", "format": "unix", "exact": True}})
    assert made.claims(f.GreaterThanOrEqual("at", of("at", AT))) is None
    assert made.claims(f.GreaterThanOrEqual("at", of("at", AT.replace(microsecond=0)))) is not None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"id": "x"}', '{"id ~": "x"}', '{"id =": 1}', '{"id =": {"param": "x", "exakt": true}}', '{"id =": {"param": "x", "format": "us"}}', '{"id =": {"exact": true}}']
)  # fmt: skip
def test_what_is_no_template_is_an_error(text):
    with pytest.raises(BasculeError, match=r"option 'filters' is .*expected JSON as \{.created >=.: .since."):
        table("http://localhost/", filters=text, schema=SCHEMA).count()


def test_a_template_names_columns_that_are_there():
    with pytest.raises(BasculeError, match="option 'filters' names the column 'nmae', which is not among id, kind"):
        table("http://localhost/", filters='{"nmae =": "n"}', schema=SCHEMA).to_arrow()


# ---- against a server ----

DAY = datetime.datetime(2026, 1, 1)
RECORDS = [
    {
        "id": i,
        "kind": ["a", "b", "B", "ab", "ü,x", None, ""][i % 7],
        "price": [0.1, 1.5, -2.0, None][i % 4],
        "open": [True, False, None][i % 3],
        "at": (DAY + datetime.timedelta(hours=7 * i, milliseconds=i % 3)).isoformat(),
    }
    for i in range(60)
]
FILTERS = {
    "id =": {"param": "id", "exact": True},
    "id IN": {"param": "ids", "exact": True},
    "id >=": {"param": "min_id", "exact": True},
    "id <": {"param": "below", "exact": True},
    "kind =": "kind",
    "kind IN": {"param": "kinds", "repeat": True, "exact": True},
    "kind starts_with": {"param": "prefix", "exact": True},
    "price >=": "min_price",
    "open =": {"param": "open", "exact": True},
    "at >=": {"param": "since", "format": "unix", "exact": True},
    "at <=": "until",
}
#: What the parameters mean to the server. ``kind`` is sloppy there: a superset of what is asked.
MEANS = {
    "id": lambda r, v: r["id"] == int(v[0]),
    "ids": lambda r, v: str(r["id"]) in v[0].split(","),
    "min_id": lambda r, v: r["id"] >= int(v[0]),
    "below": lambda r, v: r["id"] < int(v[0]),
    "kind": lambda r, v: r["kind"] is not None and r["kind"].lower() == v[0].lower(),
    "kinds": lambda r, v: r["kind"] in v,
    "prefix": lambda r, v: r["kind"] is not None and r["kind"].startswith(v[0]),
    "min_price": lambda r, v: r["price"] is not None and r["price"] >= float(v[0]),
    "open": lambda r, v: r["open"] is not None and r["open"] == (v[0] == "true"),
    "since": lambda r, v: (datetime.datetime.fromisoformat(r["at"]) - datetime.datetime(1970, 1, 1)).total_seconds() >= int(v[0]),
    "until": lambda r, v: datetime.datetime.fromisoformat(r["at"]) <= datetime.datetime.fromisoformat(v[0]),
}  # fmt: skip


def filtering(request):
    asked: dict[str, list[str]] = {}
    for name, value in request.pairs:
        if name in MEANS:
            asked.setdefault(name, []).append(value)
    kept = [r for r in RECORDS if all(MEANS[name](r, values) for name, values in asked.items())]
    return paged(kept)(request)


SERVED = "id BIGINT, kind VARCHAR, price DOUBLE, open BOOLEAN, at TIMESTAMP"
OPTIONS = {"records": "data", "schema": SERVED, "filters": json.dumps(FILTERS)}
PAGED = {
    "pages": {"pagination": "page", "total": "meta.total", "num_partitions": 3},
    "offsets": {"pagination": "offset", "page_size": 7},
    "cursors": {"pagination": "cursor", "cursor": "next_cursor"},
}


@pytest.fixture(scope="module")
def api():
    started = Api(filtering)
    yield started
    started.close()


@cache
def everything() -> pa.Table:
    api = Api(filtering)
    found = table(api.url, pagination="page", records="data", schema=SERVED).to_arrow()
    api.close()
    return found


def comparisons() -> st.SearchStrategy[f.Filter]:
    kinds = (f.EqualTo, f.EqualNullSafe, f.GreaterThan, f.GreaterThanOrEqual, f.LessThan, f.LessThanOrEqual)
    values = {
        "id": st.integers(-2, 62) | st.none(),
        "kind": st.sampled_from(["a", "b", "B", "ab", "ü,x", "", "A"]) | st.none(),
        "price": st.sampled_from([0.1, 1.5, -2.0, 0.0, float("nan"), float("inf")]) | st.none(),
        "open": st.booleans() | st.none(),
        "at": st.sampled_from([r["at"] for r in RECORDS]).map(datetime.datetime.fromisoformat)
        | st.datetimes(DAY, DAY + datetime.timedelta(days=20)).map(lambda d: d.replace(microsecond=d.microsecond // 1000 * 1000)),
    }  # fmt: skip
    names = st.sampled_from(sorted(values))
    literal = names.flatmap(lambda name: st.tuples(st.just(name), st.lists(values[name], min_size=0, max_size=4)))
    typed = literal.map(
        lambda pair: (pair[0], [pa.scalar(v, everything().schema.field(pair[0]).type) for v in pair[1]])
    )
    return st.one_of(
        st.tuples(st.sampled_from(kinds), typed.filter(lambda p: p[1])).map(lambda t: t[0](t[1][0], t[1][1][0])),
        typed.map(lambda p: f.In(p[0], p[1])),
        names.map(f.IsNull),
        names.map(f.IsNotNull),
        st.tuples(
            st.sampled_from([f.StringStartsWith, f.StringEndsWith, f.StringContains]), st.sampled_from(["a", "b", "", "ü"])
        ).map(lambda t: t[0]("kind", t[1])),
    )  # fmt: skip


PREDICATES = st.recursive(
    comparisons(),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda c: f.And(*c))
        | st.lists(inner, min_size=1, max_size=3).map(lambda c: f.Or(*c))
        | inner.map(f.Not)
    ),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    how=st.sampled_from(sorted(PAGED)),
    predicates=st.lists(PREDICATES, min_size=1, max_size=3),
    limit=st.none() | st.integers(0, 20),
)
def test_a_read_with_predicates_has_the_rows_of_one_without(api, how, predicates, limit):
    expected = f.filter_table(predicates, everything())
    made = table(api.url, **OPTIONS, **PAGED[how]).where(*predicates)
    found = made.to_arrow()
    assert found.equals(expected), (how, predicates)
    if limit is not None:
        some = made.limit(limit).to_arrow()
        assert some.num_rows == min(limit, expected.num_rows)
        assert set(ids(some)) <= set(ids(expected))


def test_the_server_is_asked_by_the_template(api):
    api.requests.clear()
    made = table(api.url, **OPTIONS, **PAGED["cursors"])
    found = made.where(
        f.GreaterThan("id", 5),
        f.EqualTo("kind", "b"),
        pc.field("at") > datetime.datetime(2026, 1, 3, 0, 0, 0, 1000),
    ).to_arrow()
    assert {r.query["min_id"] for r in api.requests} == {"5"}
    assert {r.query["kind"] for r in api.requests} == {"b"}
    assert {r.query["since"] for r in api.requests} == {"1767398400"}
    assert ids(found) == [8, 15, 22, 29, 36, 43, 50, 57]


def test_duckdb_s_predicates_reach_the_server(api, con):
    api.requests.clear()
    source = f"""python('{SOURCE}', url := '{api.url}', schema := '{SERVED}', records := '$.data', pagination := 'page',
        total := '$.meta.total', filters := '{json.dumps(FILTERS)}')"""
    sql = f"SELECT id FROM {source} WHERE id BETWEEN 10 AND 30 AND open AND kind IN ('a', 'ü,x') ORDER BY id"
    expected = [i for i in range(10, 31) if RECORDS[i]["open"] and RECORDS[i]["kind"] in ("a", "ü,x")]
    assert [i for (i,) in con.execute(sql).fetchall()] == expected
    asked = api.requests[-1]
    assert asked.query["min_id"] == "10"
    assert [v for name, v in asked.pairs if name == "kinds"] == ["a", "ü,x"]


def test_an_exact_predicate_lets_a_limit_end_the_asking(api):
    for exact, limit in ((True, 10), (False, None)):
        api.requests.clear()
        given = json.dumps({"id >=": {"param": "min_id", "exact": exact}})
        made = table(api.url, **OPTIONS | {"filters": given}, **PAGED["cursors"])
        assert ids(made.where(f.GreaterThanOrEqual("id", 3)).limit(10).to_arrow()) == list(range(3, 13))
        assert bascule.scans()["pushed_limit"][0].as_py() == limit
        assert len(api.requests) == 1


def test_a_partition_that_was_planned_without_predicates_applies_what_is_claimed(api):
    """Its page numbers are those of the whole table: the server can't be asked any more."""
    source, options = RestDataSource(), {"url": api.url, **OPTIONS, **{k: str(v) for k, v in PAGED["pages"].items()}}
    wanted = (f.GreaterThanOrEqual("id", 30), f.EqualTo("kind", "a"))
    assert source.push_filters(wanted, options) == [wanted[1]]
    specs = source.plan_partitions(options)
    found = [
        i
        for spec in specs
        for batch in source.read_partition(spec, options, columns=["kind"], filters=wanted)
        for i in batch.column("id").to_pylist()
    ]
    source.close()
    assert found == list(range(30, 60))


def test_rows_are_not_counted_by_a_total_of_fewer_predicates(api):
    """Two for one parameter: the server is told of one."""
    made = table(api.url, **OPTIONS, **PAGED["pages"], exact_total=True)
    some = made.where(f.In("kind", ["a", "b", "B", "ab"]), f.In("kind", ["a", "ü,x"]))
    assert some.count() == some.to_arrow().num_rows == sum(r["kind"] == "a" for r in RECORDS)


def test_a_limit_counts_nothing_where_a_predicate_is_left_to_the_engine(api):
    source, options = RestDataSource(), {"url": api.url, **OPTIONS, **PAGED["cursors"]}
    (spec,) = source.plan_partitions(options)
    left = (f.EqualTo("price", 1.5),)
    for filters, n in ((left, 60), ((f.EqualTo("id", 7),), 1), ((), 5)):
        batches = source.read_partition(spec, options, filters=filters, limit=5)
        assert sum(batch.num_rows for batch in batches) == n
    source.close()


def test_predicates_go_into_a_body_as_json(serve):
    api = serve(lambda request: RECORDS if request.json else [])
    made = table(api.url, method="POST", schema=SERVED, filters='{"id IN": "ids", "open =": "open", "price >=": "min"}')
    made.where(f.In("id", [1, 2]), f.EqualTo("open", True), f.GreaterThan("price", 0.5)).to_arrow()
    assert api.requests[-1].json == {"ids": [1, 2], "open": True, "min": 0.5}
