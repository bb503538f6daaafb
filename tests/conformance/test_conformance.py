"""The same cases over every engine and executor."""

from __future__ import annotations

import pytest

import testsources
from conformance.cases import CASES, Case


def by_name(case: Case) -> str:
    return case.source.__name__


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_all_columns(engine, case):
    assert engine.read(case.name, case.options, None).to_pylist() == case.rows()


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_each_column_alone_and_the_columns_reversed(engine, case):
    names = case.source.schema.names
    rows = case.rows()
    for name in names:
        got = engine.read(case.name, case.options, [name]).to_pylist()
        assert got == [{name: row[name]} for row in rows]
    got = engine.read(case.name, case.options, names[::-1])
    assert got.schema.names == names[::-1]
    assert got.to_pylist() == [{n: row[n] for n in names[::-1]} for row in rows]


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_count(engine, case):
    assert engine.count(case.name, case.options) == len(case.rows())


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_a_second_read_gives_the_same(engine, case):
    first = engine.read(case.name, case.options, None)
    assert engine.read(case.name, case.options, None) == first


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing_here:C", "there is no module 'nothing_here'"),
        ("testsources:Nothing", "module 'testsources' has no class 'Nothing'"),
        ("InitRaises", "__init__ raised RuntimeError: no init today"),
        ("InitNeedsArguments", "its __init__ needs url"),
        ("SchemaRaises", "infer_schema raised ConnectionError: can't reach the server"),
        ("SchemaIsNone", "infer_schema returned None"),
        ("NoColumns", "a schema without columns"),
        ("NoMethods", "has no method plan_partitions, read_partition"),
        ("PlanRaises", "plan_partitions raised KeyError: 'missing'"),
        ("PlanIsNone", "plan_partitions returned None, expected a list of dicts"),
        ("PlanHasInt", "plan_partitions returned a list whose item 1 is an int"),
        ("ReadRaises", "partition 1 of 2: read_partition raised OSError: the disk is on fire"),
        ("ReadIsNone", "read_partition returned None"),
        ("ReadYieldsDict", "read_partition yielded a dict"),
        ("ReadExits", "read_partition raised SystemExit: 3"),
        ("WrongType", "column 'a' is int32, but infer_schema said int64"),
        ("MissingColumn", "column 'b' is missing"),
        ("ExtraColumn", "column 'zz' is not in the schema"),
        ("NullInNonNullable", "column 'a' has a null"),
    ],
)
def test_a_failure_says_what_where_and_why(engine, name, message):
    source = name if ":" in name else f"testsources:{name}"
    with pytest.raises(engine.fails_with) as e:
        engine.read(source, {}, None)
    said = str(e.value).replace("\\'", "'")  # DataFusion shows what it was raised as Python would
    assert message in said
    if ":" not in name:
        assert source in said


def test_every_broken_class_is_a_case():
    broken = {c for c in vars(testsources) if c.endswith(("Raises", "IsNone", "IsDict", "YieldsDict", "Column"))}
    tested = {m.args[1][i][0] for m in test_a_failure_says_what_where_and_why.pytestmark for i in range(len(m.args[1]))}
    assert broken - tested <= {"SchemaIsDict"}


def test_an_unknown_setting_lists_the_known_ones(engine):
    with pytest.raises(engine.fails_with, match=r"unknown setting 'bascule_foo'.*this version knows"):
        engine.read("testsources:Good", {"bascule_foo": "1"}, None)
