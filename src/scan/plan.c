/* A plan: what a query asks of a source, and the partitions that the class
 * answered with. */
#include "scan/internal.h"

#include <stdlib.h>

/* Copies the request's columns, or all; checks that each exists. */
static int take_columns(struct bsc_plan *plan, const struct bsc_request *request, struct bsc_error *err)
{
	int64_t n_all = plan->source->schema.n_children;
	bool all = !request || !request->columns;
	plan->n_columns = all ? n_all : request->n_columns;
	if (plan->n_columns < 0) {
		int64_t n = plan->n_columns;
		plan->n_columns = 0;
		return bsc__fail(err, BSC_INVALID, "%s was asked for %lld columns", plan->source->label, (long long)n);
	}
	plan->columns = bsc__calloc((size_t)plan->n_columns, sizeof(*plan->columns));
	if (!plan->columns) {
		return bsc__fail_nomem(err, "planning a scan");
	}
	for (int64_t i = 0; i < plan->n_columns; i++) {
		int64_t column = all ? i : request->columns[i];
		if (column < 0 || column >= n_all) {
			return bsc__fail(err, BSC_INVALID, "%s has no column number %lld: its schema has %lld", plan->source->label,
			                 (long long)column, (long long)n_all);
		}
		plan->columns[i] = column;
	}
	return BSC_OK;
}

static int make_schema(struct bsc_plan *plan, struct bsc_error *err)
{
	const struct ArrowSchema *declared = &plan->source->schema;
	ArrowSchemaInit(&plan->schema);
	if (ArrowSchemaSetTypeStruct(&plan->schema, plan->n_columns) != NANOARROW_OK ||
	    ArrowSchemaSetMetadata(&plan->schema, declared->metadata) != NANOARROW_OK) {
		return bsc__fail_nomem(err, "planning a scan");
	}
	for (int64_t i = 0; i < plan->n_columns; i++) {
		struct ArrowSchema *child = plan->schema.children[i];
		ArrowSchemaRelease(child);
		child->release = NULL;
		if (ArrowSchemaDeepCopy(declared->children[plan->columns[i]], child) != NANOARROW_OK) {
			return bsc__fail_nomem(err, "planning a scan");
		}
	}
	return BSC_OK;
}

/* The names of the asked columns, each column once, in the engine's order.
 * Returns how many; `seen` has room for the source's columns, all false. */
static int64_t list_names(const struct bsc_plan *plan, const char **names, bool *seen)
{
	int64_t n = 0;
	for (int64_t i = 0; i < plan->n_columns; i++) {
		if (!seen[plan->columns[i]]) {
			seen[plan->columns[i]] = true;
			names[n++] = plan->schema.children[i]->name;
		}
	}
	return n;
}

/* The same, for people. */
static bool describe_columns(struct bsc_plan *plan, const struct bsc_hints *hints)
{
	enum { TEXT_MAX = 4096 };
	if (!hints->columns) {
		return true;
	}
	struct bsc__bytes text;
	bsc__bytes_init(&text, TEXT_MAX);
	for (int64_t i = 0; i < hints->n_columns && !text.failed; i++) {
		struct bsc_str name = bsc__str(hints->columns[i]);
		bsc__put(&text, ", ", i ? 2 : 0);
		bsc__put(&text, name.ptr, name.len);
	}
	if (!text.no_memory) {
		/* Too many names are cut where one begins. */
		plan->asked = bsc__strndup((struct bsc_str){(const char *)text.ptr, text.len});
	}
	bsc__bytes_release(&text);
	return plan->asked != NULL;
}

/* What the class answered. planned: its texts and lists are moved. */
static void take_planned(struct bsc_plan *plan, const struct bsc_planned *planned)
{
	plan->n_partitions = planned->n_partitions;
	plan->n_pruned = planned->n_pruned;
	plan->rows = planned->rows;
	plan->pushed = planned->pushed;
	plan->n_rows = plan->rows && !plan->filtered ? 0 : -1;
	for (int64_t i = 0; plan->n_rows >= 0 && i < plan->n_partitions; i++) {
		int64_t rows = plan->rows[i];
		plan->n_rows = rows < 0 || rows > INT64_MAX - plan->n_rows ? -1 : plan->n_rows + rows;
	}
	plan->counted = plan->n_columns == 0 && plan->n_rows >= 0;
	bool whole = !plan->filtered && !plan->partial;
	int64_t wanted = plan->n_rows < 0 && whole ? bsc__source_exact_rows(plan->source) : plan->n_rows;
	plan->n_wanted = plan->limited && plan->limit < wanted ? plan->limit : wanted;
}

/* The class sees names, and only where the query reads less than everything. */
static int ask(struct bsc_plan *plan, const struct bsc_request *request, const struct bsc_poll *poll,
               struct bsc_error *err)
{
	const struct bsc_source *source = plan->source;
	struct bsc__bytes filters;
	struct bsc_hints hints = {.limited = plan->limited, .limit = plan->limit};
	if (request) {
		hints.specs = request->specs;
		hints.n_specs = request->n_specs;
		hints.offsets = request->offsets;
		hints.portable = request->portable;
	}
	struct bsc_planned planned = {0};
	const char **names = bsc__calloc((size_t)plan->n_columns, sizeof(*names));
	bool *seen = bsc__calloc((size_t)source->schema.n_children, sizeof(*seen));
	int rc = BSC_OK;
	bsc__bytes_init(&filters, 16 << 20);
	bsc__filters_put(&filters, request ? request->filter : NULL, &source->schema);
	hints.filters = (struct bsc_str){(const char *)filters.ptr, filters.len};
	if (request && request->columns && names && seen) {
		hints.n_columns = list_names(plan, names, seen);
		hints.columns = names;
	}
	if (!names || !seen || filters.failed || !describe_columns(plan, &hints)) {
		rc = bsc__fail_nomem(err, "planning a scan");
	}
	if (rc == BSC_OK) {
		rc = source->executor->plan(source->instance, &hints, &plan->meter, poll, &plan->handle, &planned, err);
	}
	if (rc == BSC_OK) {
		take_planned(plan, &planned);
	}
	bsc__bytes_release(&filters);
	bsc__free(seen);
	bsc__free(names);
	return rc;
}

static int check(const struct bsc_plan *plan, const struct bsc_request *request, struct bsc_error *err)
{
	const char *label = plan->source->label;
	if (plan->limit < 0) {
		return bsc__fail(err, BSC_INVALID, "%s was asked for %lld rows", label, (long long)plan->limit);
	}
	if (request && (request->offsets.start.len == 0) != (request->offsets.end.len == 0)) {
		return bsc__fail(err, BSC_INVALID, "%s was asked for a micro-batch without its %s", label,
		                 request->offsets.start.len ? "end" : "start");
	}
	return BSC_OK;
}

int bsc_plan_new(struct bsc_source *source, const struct bsc_request *request, const struct bsc_poll *poll,
                 struct bsc_plan **out, struct bsc_error *err)
{
	*out = NULL;
	struct bsc_plan *plan = bsc__calloc(1, sizeof(*plan));
	if (!plan) {
		return bsc__fail_nomem(err, "planning a scan");
	}
	bsc__source_ref(source);
	bsc__names_init(&plan->names);
	plan->meter.names = &plan->names;
	plan->source = source;
	plan->refs = 1;
	plan->limited = request && request->limited;
	plan->limit = plan->limited ? request->limit : 0;
	plan->filtered = request && request->filter;
	plan->partial = request && (request->specs || request->offsets.start.len);
	int rc = check(plan, request, err);
	if (rc == BSC_OK) {
		rc = take_columns(plan, request, err);
	}
	if (rc == BSC_OK) {
		rc = make_schema(plan, err);
	}
	if (rc == BSC_OK) {
		rc = ask(plan, request, poll, err);
	}
	if (rc != BSC_OK) {
		bsc_plan_free(plan);
		return rc;
	}
	*out = plan;
	return BSC_OK;
}

int64_t bsc_plan_row_count(const struct bsc_plan *plan)
{
	return plan->n_rows;
}

int bsc__fail_partition(const struct bsc_plan *plan, int64_t partition, struct bsc_error *err)
{
	return bsc__fail(err, BSC_INVALID, "%s has no partition %lld: it planned %lld", plan->source->label,
	                 (long long)partition, (long long)plan->n_partitions);
}

int bsc_plan_spec(const struct bsc_plan *plan, int64_t partition, char **spec_out, size_t *len_out,
                  struct bsc_error *err)
{
	const struct bsc_executor *executor = plan->source->executor;
	*spec_out = NULL;
	*len_out = 0;
	if (partition < 0 || partition >= plan->n_partitions) {
		return bsc__fail_partition(plan, partition, err);
	}
	return executor->plan_spec(plan->handle, partition, spec_out, len_out, err);
}

const char *bsc_plan_pushed(const struct bsc_plan *plan)
{
	return plan->pushed ? plan->pushed : "";
}

int64_t bsc_plan_partition_count(const struct bsc_plan *plan)
{
	return plan->n_partitions;
}

int64_t bsc_plan_concurrency(const struct bsc_plan *plan)
{
	const struct bsc_executor *executor = plan->source->executor;
	int64_t n = executor->plan_readers ? executor->plan_readers(plan->handle) : plan->n_partitions;
	n = n < plan->n_partitions ? n : plan->n_partitions;
	return n > 1 ? n : 1;
}

const struct ArrowSchema *bsc_plan_schema(const struct bsc_plan *plan)
{
	return &plan->schema;
}

void bsc_plan_ref(struct bsc_plan *plan)
{
	atomic_fetch_add(&plan->refs, 1);
}

void bsc_plan_free(struct bsc_plan *plan)
{
	if (!plan || atomic_fetch_sub(&plan->refs, 1) != 1) {
		return;
	}
	if (plan->handle) {
		plan->source->executor->plan_free(plan->handle);
	}
	if (plan->schema.release) {
		ArrowSchemaRelease(&plan->schema);
	}
	free(plan->rows);
	free(plan->pushed);
	bsc__free(plan->asked);
	bsc__names_release(&plan->names);
	bsc__free(plan->columns);
	bsc_source_close(plan->source);
	bsc__free(plan);
}
