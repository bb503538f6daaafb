"""Every kind of pagination: each row once, and an end."""

from __future__ import annotations

import pytest

from bascule import BasculeError
from bascule.sources.rest._links import next_link
from sources.rest.api import Reply, paged, rows
from sources.rest.reading import EXECUTORS, ids, read, table

N = 95
KINDS = {
    "page": {"pagination": "page", "records": "$.data"},
    "page with a size": {"pagination": "page", "page_size": 20, "records": "$.data"},
    "page with has_more": {"pagination": "page", "records": "data", "has_more": "$.meta.more"},
    "page by total": {"pagination": "page", "records": "data", "total": "$.meta.total"},
    "page by total_pages": {"pagination": "page", "page_size": 7, "records": "data", "total_pages": "$.meta.pages"},
    "page by total, in few": {"pagination": "page", "records": "data", "total": "meta.total", "num_partitions": 3},
    "page by total, alone": {"pagination": "page", "records": "data", "total": "meta.total", "num_partitions": 1},
    "offset": {"pagination": "offset", "page_size": 8, "records": "data"},
    "offset without a size": {"pagination": "offset", "records": "data"},
    "offset by total": {"pagination": "offset", "page_size": 8, "records": "data", "total": "$.meta.total"},
    "offset by total without a size": {"pagination": "offset", "records": "data", "total": "$.meta.total"},
    "cursor": {"pagination": "cursor", "cursor": "$.next_cursor", "records": "data"},
    "cursor of the last record": {"pagination": "cursor", "cursor": "$.data[-1].id", "cursor_param": "page", "records": "data"},
    "next": {"pagination": "next", "records": "data"},
    "link": {"pagination": "link"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "executor"),
    [*((kind, "inprocess") for kind in KINDS), *((kind, "process") for kind in ("page by total", "offset", "cursor"))],
)
def test_each_row_comes_once(serve, kind, executor):
    options = dict(KINDS[kind])
    answer = paged(rows(N))
    if kind == "cursor of the last record":  # the cursor is an id, from after which the next page is

        def answer(request):
            after = int(request.query.get("page", -1))
            return {"data": rows(N)[after + 1 : after + 11]}

    api = serve(answer)
    found = read(f"{api.url}/{options['pagination']}", executor=executor, **options)
    assert ids(found) == list(range(N))
    assert found["name"].to_pylist() == [f"name {i}" for i in range(N)]


def test_pages_are_partitions_where_their_number_is_known(serve):
    api = serve(paged(rows(N)))
    made = table(f"{api.url}/", pagination="page", records="data", total="meta.total", num_partitions=4)
    assert len(made.partitions()) == 4
    api.requests.clear()
    assert ids(made.to_arrow()) == list(range(N))
    # Once more for the plan; no page beyond the last.
    assert sorted(int(q["page"]) for q in api.queries) == [1, *range(1, 11)]


def test_the_servers_page_size_counts_not_the_one_asked_for(serve):
    api = serve(paged(rows(N), most=10))
    for pagination in ("page", "offset"):
        found = read(api.url, pagination=pagination, page_size=50, records="data", total="meta.total", num_partitions=3)
        assert sorted(ids(found)) == list(range(N)), pagination


def test_offsets_are_parted_exactly_whatever_the_pages_sizes(serve):
    def answer(request):
        at = int(request.query["offset"])
        size = 10 if at == 0 else 3 + at % 11
        return {"data": rows(N)[at : at + size], "total": N}

    api = serve(answer)
    found = read(api.url, pagination="offset", records="data", total="total", num_partitions=4)
    assert ids(found) == list(range(N))


def test_what_is_added_between_plan_and_read_is_read(serve):
    records = rows(40)
    for pagination in ("page", "offset"):
        del records[40:]
        api = serve(paged(records))
        partitions = table(api.url, pagination=pagination, records="data", total="meta.total").partitions()
        assert len(partitions) == 4
        records += rows(67)[40:]
        found = [i for p in partitions for i in ids(p.to_reader().read_all())]
        assert found == list(range(67)), pagination


def test_a_table_that_shrinks_is_read_or_refused(serve):
    records = rows(40)
    api = serve(paged(records))
    made = table(api.url, pagination="page", records="data", total="meta.total", num_partitions=4)
    partitions = made.partitions()
    del records[30:]
    assert [i for p in partitions for i in ids(p.to_reader().read_all())] == list(range(30))
    del records[15:]
    with pytest.raises(
        BasculeError, match="page 2 has 5 records, where the first one had 10: the table became smaller"
    ):
        partitions[1].to_reader().read_all()


def test_a_short_page_is_no_proof(serve):
    pages = [rows(30)[:10], rows(30)[10:13], rows(30)[13:23], []]

    def answer(request):
        return pages[int(request.query["page"]) - 1]

    api = serve(answer)
    assert len(read(api.url, pagination="page", page_size=10)) == 23
    assert len(read(api.url, pagination="page", page_size=10, stop_on_short_page=True)) == 13


def test_has_more_saves_the_empty_page(serve):
    api = serve(paged(rows(20)))
    table(api.url, pagination="page", records="data", has_more="meta.more", schema="id BIGINT").to_arrow()
    assert [q["page"] for q in api.queries] == ["1", "2"]
    api.requests.clear()
    table(api.url, pagination="page", records="data", schema="id BIGINT").to_arrow()
    assert [q["page"] for q in api.queries] == ["1", "2", "3"]


def test_a_missing_has_more_is_an_error(serve):
    api = serve(paged(rows(20)))
    with pytest.raises(
        BasculeError,
        match=r"option 'has_more': '\$.meta.mroe' is not in the response: '\$.meta' is an object with the keys total, pages, more",
    ):
        read(api.url, pagination="page", records="data", has_more="$.meta.mroe")  # fmt: skip


def test_parameters_have_other_names(serve):
    def answer(request):
        at, size = int(request.query["p"]), int(request.query["s"])
        return rows(25)[at * size : (at + 1) * size]

    api = serve(answer)
    found = read(api.url, pagination="page", page_param="p", page_size_param="s", page_size=10, page_start=0)
    assert ids(found) == list(range(25))


def test_pages_are_asked_for_in_the_body(serve):
    def answer(request):
        asked = request.json
        at = asked["offset"]
        return {"hits": rows(25)[at : at + asked["limit"]]} if asked["query"] == "all" and not request.query else []

    api = serve(answer)
    options = {"method": "POST", "body": '{"query": "all"}', "pagination": "offset", "page_size": 10, "records": "hits"}
    assert ids(read(api.url, **options)) == list(range(25))
    assert api.requests[-1].json == {"query": "all", "limit": 10, "offset": 25}


def test_a_post_may_page_in_the_query(serve):
    def answer(request):
        at = int(request.query["offset"])
        return rows(25)[at : at + 10]

    api = serve(answer)
    options = {"method": "POST", "body": '{"q": 1}', "pagination": "offset", "params_in": "query"}
    assert ids(read(api.url, **options)) == list(range(25))
    assert {request.body for request in api.requests} == {b'{"q":1}'}


# ---- loops ----


def test_a_server_that_ignores_the_page_is_found(serve):
    api = serve(lambda request: rows(10))
    with pytest.raises(
        BasculeError, match="page 2 has the very records of the page before: does the server know the parameter 'page'"
    ):
        read(api.url, pagination="page")  # fmt: skip
    assert len(api.requests) < 6


def test_a_server_that_ignores_the_page_is_found_in_partitions(serve):
    api = serve(lambda request: {"data": rows(10), "total": 40})
    for pagination in ("page", "offset"):
        with pytest.raises(
            BasculeError,
            match=f"has the very records of the first one: does the server know the parameter '{pagination}'",
        ):
            read(api.url, pagination=pagination, records="data", total="total", sample=1)  # fmt: skip


def test_a_server_that_answers_with_its_last_page_for_ever_is_found(serve):
    def answer(request):
        at = min(int(request.query["page"]), 3)
        return rows(30)[at * 10 - 10 : at * 10]

    api = serve(answer)
    with pytest.raises(BasculeError, match="page 4 has the very records of the page before"):
        read(api.url, pagination="page")


def test_pages_that_are_the_same_may_be_allowed(serve):
    api = serve(lambda request: [{"v": 1}] * 3 if int(request.query["page"]) < 4 else [])
    assert read(api.url, pagination="page", allow_repeats=True).num_rows == 9


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_a_circle_of_cursors_is_found(serve, length):
    def answer(request):
        at = int(request.query.get("cursor", -3))
        return {"data": [{"id": at, "n": len(api.requests)}], "next": 0 if at + 1 == length else at + 1}

    api = serve(answer)
    with pytest.raises(BasculeError, match=r"the cursor [0-9] comes again: the server leads in a circle"):
        read(api.url, pagination="cursor", cursor="next", records="data", sample=1)
    assert len(api.requests) < 40


def test_a_circle_of_urls_is_found(serve):
    api = serve(lambda request: {"data": [{"n": len(api.requests)}], "next": f"/?at={len(api.requests) % 2}"})
    with pytest.raises(BasculeError, match="the next page's URL comes again"):
        read(api.url, pagination="next", records="data", sample=1)


def test_another_servers_next_page_is_not_asked_for(serve):
    other = serve(lambda request: [])
    for kind, reply in {
        "next": {"data": rows(3), "next": f"{other.url}/2"},
        "link": Reply({"data": rows(3)}, headers={"Link": f"<{other.url}/2>; rel=next"}),
    }.items():
        api = serve(lambda request, reply=reply: reply)
        with pytest.raises(
            BasculeError,
            match=r"names a next page that belongs to another server, http://127.0.0.1:\d+/2, which is not asked",
        ):
            read(api.url, pagination=kind, records="data", auth_type="bearer", token="canary")  # fmt: skip
    assert other.requests == []


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('<https://x/?page=2>; rel="next"', "https://x/?page=2"),
        ('<https://x/?a=1,2;3>; rel="prev", </2?b=<c>; rel=next', "/2?b=<c"),
        ('</1>; rel="first"; title="a, <b>; rel=next",</9>;rel="last next"', "/9"),
        ('</2>; title="x" ; REL = "Next"', "/2"),
        ('</2>; rel="nextish"', None),
        ("</2>", None),
        ("rel=next", None),
        ("", None),
    ],
)
def test_a_link_header_is_read(header, url):
    assert next_link(header) == url


def test_a_redirect_stays_with_its_server(serve):
    other = serve(lambda request: rows(3))

    def answer(request):
        if request.path == "/old":
            return Reply(status=302, headers={"Location": "/new?x=1"})
        if request.path == "/away":
            return Reply(status=307, headers={"Location": f"{other.url}/x"})
        if request.path == "/round":
            return Reply(status=302, headers={"Location": "/round"})
        return rows(3)

    api = serve(answer)
    options = {"auth_type": "bearer", "token": "canary"}
    assert ids(read(f"{api.url}/old", **options)) == [0, 1, 2]
    assert api.requests[-1].headers["authorization"] == "Bearer canary"
    with pytest.raises(
        BasculeError, match=r"redirects to another server, .*which is not asked: it would be sent the credentials"
    ):
        read(f"{api.url}/away", **options)  # fmt: skip
    with pytest.raises(BasculeError, match="more than 5 redirects"):
        read(f"{api.url}/round", **options)
    assert other.requests == []


def test_a_cursor_that_is_promised_must_be_there(serve):
    api = serve(lambda request: {"data": rows(3), "has_more": True})
    with pytest.raises(BasculeError, match="option 'has_more' says that more follows, but there is no cursor"):
        read(api.url, pagination="cursor", cursor="cursor", has_more="has_more", records="data")


def test_a_full_page_without_a_cursor_is_a_warning(serve, caplog):
    api = serve(lambda request: {"data": rows(10), "next_page": "x"})
    found = read(api.url, pagination="cursor", cursor="$.next_pgae", records="data", page_size=10)
    assert len(found) == 10
    assert "the first page is full, and has nothing at '$.next_pgae' (option 'cursor')" in caplog.text


# ---- partitions, limits, counts ----


@pytest.mark.parametrize("executor", EXECUTORS)
def test_partitions_are_given_as_parameters(serve, executor):
    def answer(request):
        region = request.path.rpartition("/")[2]
        page = int(request.query["page"])
        return [{"region": region, "plan": request.query["plan"], "id": page}] if page < 4 else []

    api = serve(answer)
    options = {"partitions": '[{"region": "eu"}, {"region": "a b/c"}]', "params": '{"plan": "x"}', "pagination": "page"}
    found = read(f"{api.url}/regions/{{region}}", executor=executor, **options)
    assert found.to_pylist() == [{"region": r, "plan": "x", "id": i} for r in ("eu", "a%20b%2Fc") for i in (1, 2, 3)]


def test_a_name_in_the_url_needs_a_value(serve):
    with pytest.raises(
        BasculeError, match=r"option 'url' has \{region\}, for which option 'params' or 'partitions' has no text"
    ):
        read("http://localhost/{region}")  # fmt: skip


@pytest.mark.parametrize("limit", [1, 10, 11, 35])
def test_a_limit_ends_the_asking(serve, limit):
    api = serve(paged(rows(1000)))
    made = table(api.url, pagination="page", records="data", schema="id BIGINT", page_size=10)
    assert ids(made.limit(limit).to_arrow()) == list(range(limit))
    assert len(api.requests) == -(-limit // 10)


def test_a_limit_plans_no_more_than_it_needs(serve):
    api = serve(paged(rows(1000)))
    made = table(api.url, pagination="page", records="data", schema="id BIGINT", page_size=10, total="meta.total")
    assert ids(made.limit(25).to_arrow()) == list(range(25))
    assert len(api.requests) <= 1 + 3 + 3
    api.requests.clear()
    assert ids(made.limit(5).to_arrow()) == list(range(5))
    assert len(api.requests) == 1


def test_rows_are_counted_by_an_exact_total_alone(serve):
    api = serve(paged(rows(N)))
    options = {
        "pagination": "page",
        "records": "data",
        "total": "meta.total",
        "schema": "id BIGINT",
        "num_partitions": 3,
    }
    made = table(api.url, **options)
    assert made.count() == N
    assert len(api.requests) > 9
    api.requests.clear()
    assert table(api.url, exact_total=True, **options).count() == N
    assert len(api.requests) == 1
    assert made.statistics().num_rows == N
    assert not made.statistics().exact


def test_a_header_holds_the_total_or_the_cursor(serve):
    def answer(request):
        page = int(request.query.get("page", 1))
        more = {"X-Next": str(page + 1)} if page < 4 else {}
        return Reply(rows(40)[page * 10 - 10 : page * 10], headers={"X-Total-Count": "40", **more})

    api = serve(answer)
    found = table(api.url, pagination="page", total="header:X-Total-Count", num_partitions=2)
    assert len(found.partitions()) == 2
    assert ids(found.to_arrow()) == list(range(40))
    assert ids(read(api.url, pagination="cursor", cursor="header:x-next", cursor_param="page")) == list(range(40))


def test_a_total_that_is_none_is_no_total(serve):
    api = serve(lambda request: {"data": rows(20)[int(request.query["offset"]) :][:10], "total": None})
    found = table(api.url, pagination="offset", records="data", total="total")
    assert len(found.partitions()) == 1
    assert ids(found.to_arrow()) == list(range(20))
    api.answer = lambda request: {"data": rows(2), "total": "many"}
    with pytest.raises(BasculeError, match="option 'total': at 'total' is text, and no number of records"):
        read(api.url, pagination="offset", records="data", total="total")
