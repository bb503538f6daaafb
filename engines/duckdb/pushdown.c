/* DuckDB's bound expressions, as predicates. */
#include "pushdown.h"

#include <stdio.h>
#include <stdlib.h>

/* An expression as far as it can be said. */
struct taken {
	struct bsc_filter *filter; /* NULL: not at all */
	bool exact;                /* true, false and NULL for the same rows: it may be negated */
};

struct taking {
	duckdb_v2_table_function_filter_pushdown_info_handle info;
	const struct ArrowSchema *schema;
	int depth;
};

#define DEPTH_MAX 48
static const struct taken nothing = {NULL, false};

static struct taken take(struct taking *taking, duckdb_v2_expression_handle expression);

/* ---- the pieces of an expression ---- */

static DUCKDB_V2_EXPRESSION_TYPE type_of(duckdb_v2_expression_handle expression)
{
	DUCKDB_V2_EXPRESSION_TYPE type = DUCKDB_V2_EXPRESSION_TYPE_INVALID;
	(void)duckdb_v2_expression_get_type(expression, &type, NULL);
	return type;
}

static idx_t child_count(duckdb_v2_expression_handle expression)
{
	idx_t n = 0;
	(void)duckdb_v2_expression_get_child_count(expression, &n, NULL);
	return n;
}

static duckdb_v2_expression_handle child_of(duckdb_v2_expression_handle expression, idx_t i)
{
	duckdb_v2_expression_handle child = NULL;
	(void)duckdb_v2_expression_get_child(expression, i, &child, NULL);
	return child;
}

/* The declared column that an expression is, or -1. */
static int64_t column_of(const struct taking *taking, duckdb_v2_expression_handle expression)
{
	idx_t reference, column;
	if (!expression || type_of(expression) != DUCKDB_V2_EXPRESSION_TYPE_BOUND_COLUMN_REF ||
	    duckdb_v2_expression_column_ref_get_index(expression, &reference, NULL) != DUCKDB_V2_ERROR_NONE ||
	    duckdb_v2_table_function_filter_pushdown_get_column_index(taking->info, reference, &column, NULL) !=
	        DUCKDB_V2_ERROR_NONE ||
	    column >= (idx_t)taking->schema->n_children) {
		return -1;
	}
	return (int64_t)column;
}

/* The constant that an expression is, to be destroyed; NULL: it is none. */
static duckdb_v2_value_handle constant_of(duckdb_v2_expression_handle expression)
{
	duckdb_v2_value_handle value = NULL;
	if (expression && type_of(expression) == DUCKDB_V2_EXPRESSION_TYPE_VALUE_CONSTANT) {
		(void)duckdb_v2_expression_constant_get_value(expression, &value, NULL);
	}
	return value;
}

/* ---- which columns, which literals ---- */

/* A column's values, where they are DuckDB's: no extension type, whose values DuckDB may see in another way. */
static const char *format_of(const struct ArrowSchema *field)
{
	const char extension[] = "ARROW:extension:name";
	if (bsc_schema_metadata(field, extension).ptr || field->n_children) {
		return "";
	}
	return field->dictionary ? format_of(field->dictionary) : field->format;
}

/* Formats that may be compared with a literal of each of DuckDB's types. DuckDB's value must be Arrow's: one that lost
 * nanoseconds on its way compares otherwise. "d:*" is whatever begins with d:, "tsu:+" what goes on behind the colon.
 */
static const struct {
	DUCKDB_V2_LOGICAL_TYPE_ID id;
	const char *formats[5];
} comparable[] = {
    {DUCKDB_V2_LOGICAL_TYPE_ID_BOOLEAN, {"b"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_TINYINT, {"c"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_SMALLINT, {"s"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_INTEGER, {"i"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_BIGINT, {"l"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_UTINYINT, {"C"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_USMALLINT, {"S"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_UINTEGER, {"I"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_UBIGINT, {"L"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_FLOAT, {"f", "e"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_DOUBLE, {"g"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_VARCHAR, {"u", "U", "vu"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_BLOB, {"z", "Z", "vz", "w:*"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_DATE, {"tdD"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_TIME, {"tts", "ttm", "ttu"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_TIME_NS, {"ttn"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_TIMESTAMP, {"tsu:"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_TIMESTAMP_SEC, {"tss:"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_TIMESTAMP_MS, {"tsm:"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_TIMESTAMP_NS, {"tsn:"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_TIMESTAMP_TZ, {"tss:+", "tsm:+", "tsu:+"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_TIMESTAMP_TZ_NS, {"tsn:+"}},
    {DUCKDB_V2_LOGICAL_TYPE_ID_DECIMAL, {"d:*"}},
};

static bool is_like(const char *format, const char *pattern)
{
	for (; *pattern && *pattern != '*' && *pattern != '+'; format++, pattern++) {
		if (*format != *pattern) {
			return false;
		}
	}
	return *pattern == '*' || (*pattern == '+') == (*format != '\0');
}

static bool is_comparable(const char *format, DUCKDB_V2_LOGICAL_TYPE_ID id)
{
	for (size_t i = 0; i < sizeof(comparable) / sizeof(*comparable); i++) {
		for (const char *const *at = comparable[i].formats; comparable[i].id == id && *at; at++) {
			if (is_like(format, *at)) {
				return true;
			}
		}
	}
	return false;
}

/* A literal and the memory that it borrows. */
struct literal {
	struct bsc_literal arrow;
	char format[32];
	char bytes[16];
};

static bool take_text(struct literal *out, const char *format, duckdb_v2_str text)
{
	strcpy(out->format, format);
	out->arrow = (struct bsc_literal){out->format, true, {text.ptr ? text.ptr : "", text.len}};
	return true;
}

static bool take_number(struct literal *out, const char *format, const void *number, size_t size)
{
	memcpy(out->bytes, number, size);
	return take_text(out, format, (duckdb_v2_str){out->bytes, size});
}

/* Dates and times of which Python has no value, infinities among them, are not pushed: a class could not
 * look at them. */
static bool take_days(struct literal *out, int32_t days)
{
	enum { FIRST_DAY = -719162, LAST_DAY = 2932896 }; /* of the years 1 to 9999 */
	return days >= FIRST_DAY && days <= LAST_DAY && take_number(out, "tdD", &days, sizeof(days));
}

static bool take_moment(struct literal *out, const char *format, int64_t value, int64_t per_second)
{
	const int64_t first = -62135596800, last = 253402300799; /* seconds, of the years 1 to 9999 */
	int64_t seconds = value / per_second;
	return seconds > first && seconds < last && take_number(out, format, &value, sizeof(value));
}

/* Ends take_value: the value that `getter` gets becomes the literal's bytes. */
#define TAKE(getter, type, format)                                                                                     \
	do {                                                                                                               \
		type number;                                                                                                   \
		return getter(value, &number, NULL) == DUCKDB_V2_ERROR_NONE &&                                                 \
		       take_number(out, format, &number, sizeof(number));                                                      \
	} while (0)

#define TAKE_MOMENT(getter, format, per_second)                                                                        \
	do {                                                                                                               \
		int64_t number;                                                                                                \
		return getter(value, &number, NULL) == DUCKDB_V2_ERROR_NONE && take_moment(out, format, number, per_second);   \
	} while (0)

static bool take_decimal(duckdb_v2_value_handle value, struct literal *out)
{
	duckdb_v2_hugeint_t unscaled;
	uint8_t width, scale;
	if (duckdb_v2_value_get_decimal(value, &unscaled, &width, &scale, NULL) != DUCKDB_V2_ERROR_NONE) {
		return false;
	}
	char format[32];
	snprintf(format, sizeof(format), "d:%d,%d", width, scale);
	uint64_t halves[2] = {unscaled.lower, (uint64_t)unscaled.upper};
	return take_number(out, format, halves, sizeof(halves));
}

/* False: such a value is not pushed. */
static bool take_value(duckdb_v2_value_handle value, DUCKDB_V2_LOGICAL_TYPE_ID id, struct literal *out)
{
	duckdb_v2_str text;
	int32_t days;
	bool truth;
	switch (id) {
	case DUCKDB_V2_LOGICAL_TYPE_ID_BOOLEAN:
		if (duckdb_v2_value_get_bool(value, &truth, NULL) != DUCKDB_V2_ERROR_NONE) {
			return false;
		}
		return take_number(out, "b", &(uint8_t){truth}, 1);
	case DUCKDB_V2_LOGICAL_TYPE_ID_TINYINT:
		TAKE(duckdb_v2_value_get_tinyint, int8_t, "c");
	case DUCKDB_V2_LOGICAL_TYPE_ID_SMALLINT:
		TAKE(duckdb_v2_value_get_smallint, int16_t, "s");
	case DUCKDB_V2_LOGICAL_TYPE_ID_INTEGER:
		TAKE(duckdb_v2_value_get_int, int32_t, "i");
	case DUCKDB_V2_LOGICAL_TYPE_ID_BIGINT:
		TAKE(duckdb_v2_value_get_bigint, int64_t, "l");
	case DUCKDB_V2_LOGICAL_TYPE_ID_UTINYINT:
		TAKE(duckdb_v2_value_get_utinyint, uint8_t, "C");
	case DUCKDB_V2_LOGICAL_TYPE_ID_USMALLINT:
		TAKE(duckdb_v2_value_get_usmallint, uint16_t, "S");
	case DUCKDB_V2_LOGICAL_TYPE_ID_UINTEGER:
		TAKE(duckdb_v2_value_get_uint, uint32_t, "I");
	case DUCKDB_V2_LOGICAL_TYPE_ID_UBIGINT:
		TAKE(duckdb_v2_value_get_ubigint, uint64_t, "L");
	case DUCKDB_V2_LOGICAL_TYPE_ID_FLOAT:
		TAKE(duckdb_v2_value_get_float, float, "f");
	case DUCKDB_V2_LOGICAL_TYPE_ID_DOUBLE:
		TAKE(duckdb_v2_value_get_double, double, "g");
	case DUCKDB_V2_LOGICAL_TYPE_ID_VARCHAR:
		return duckdb_v2_value_get_varchar(value, &text, NULL) == DUCKDB_V2_ERROR_NONE && take_text(out, "u", text);
	case DUCKDB_V2_LOGICAL_TYPE_ID_BLOB:
		return duckdb_v2_value_get_blob(value, &text, NULL) == DUCKDB_V2_ERROR_NONE && take_text(out, "z", text);
	case DUCKDB_V2_LOGICAL_TYPE_ID_DATE:
		return duckdb_v2_value_get_date(value, &days, NULL) == DUCKDB_V2_ERROR_NONE && take_days(out, days);
	case DUCKDB_V2_LOGICAL_TYPE_ID_TIME:
		TAKE(duckdb_v2_value_get_time, int64_t, "ttu");
	case DUCKDB_V2_LOGICAL_TYPE_ID_TIME_NS:
		TAKE(duckdb_v2_value_get_time_ns, int64_t, "ttn");
	case DUCKDB_V2_LOGICAL_TYPE_ID_TIMESTAMP:
		TAKE_MOMENT(duckdb_v2_value_get_timestamp, "tsu:", 1000000);
	case DUCKDB_V2_LOGICAL_TYPE_ID_TIMESTAMP_SEC:
		TAKE_MOMENT(duckdb_v2_value_get_timestamp_sec, "tss:", 1);
	case DUCKDB_V2_LOGICAL_TYPE_ID_TIMESTAMP_MS:
		TAKE_MOMENT(duckdb_v2_value_get_timestamp_ms, "tsm:", 1000);
	case DUCKDB_V2_LOGICAL_TYPE_ID_TIMESTAMP_NS:
		TAKE_MOMENT(duckdb_v2_value_get_timestamp_ns, "tsn:", 1000000000);
	case DUCKDB_V2_LOGICAL_TYPE_ID_TIMESTAMP_TZ:
		TAKE_MOMENT(duckdb_v2_value_get_timestamp_tz, "tsu:UTC", 1000000);
	case DUCKDB_V2_LOGICAL_TYPE_ID_TIMESTAMP_TZ_NS:
		TAKE_MOMENT(duckdb_v2_value_get_timestamp_tz_ns, "tsn:UTC", 1000000000);
	case DUCKDB_V2_LOGICAL_TYPE_ID_DECIMAL:
		return take_decimal(value, out);
	default:
		return false;
	}
}

/* The constant as a literal for a column of that format. The literal borrows from it. */
static bool take_constant(duckdb_v2_value_handle value, const char *format, struct literal *out)
{
	duckdb_v2_logical_type_handle type = NULL;
	DUCKDB_V2_LOGICAL_TYPE_ID id = DUCKDB_V2_LOGICAL_TYPE_ID_INVALID;
	bool null = false;
	bool good = value && duckdb_v2_value_get_logical_type(value, &type, NULL) == DUCKDB_V2_ERROR_NONE &&
	            duckdb_v2_logical_type_get_id(type, &id, NULL) == DUCKDB_V2_ERROR_NONE &&
	            duckdb_v2_value_is_null(value, &null, NULL) == DUCKDB_V2_ERROR_NONE;
	(void)duckdb_v2_logical_type_destroy(&type);
	if (good && null) {
		strcpy(out->format, "n");
		out->arrow = (struct bsc_literal){out->format, false, {NULL, 0}};
		return *format != '\0';
	}
	return good && is_comparable(format, id) && take_value(value, id, out);
}

/* ---- predicates ---- */

static struct taken leaf(enum bsc_filter_kind kind, int64_t column, const struct bsc_literal *literals, size_t n)
{
	struct taken out = {NULL, true};
	return bsc_filter_new(kind, column, literals, n, &out.filter, NULL) == BSC_OK ? out : nothing;
}

/* AND or OR of what was taken, each moved. */
static struct bsc_filter *join(enum bsc_filter_kind kind, struct bsc_filter **children, size_t n)
{
	struct bsc_filter *out = NULL;
	if (n == 1) {
		return children[0];
	}
	if (n == 0 || bsc_filter_join(kind, children, n, &out, NULL) != BSC_OK) {
		for (size_t i = 0; i < n; i++) {
			bsc_filter_free(children[i]);
		}
		return NULL;
	}
	return out;
}

/* A superset can't be negated: what would be left is too little. */
static struct taken negated(struct taken taken)
{
	struct taken out = {NULL, true};
	if (!taken.filter || !taken.exact ||
	    bsc_filter_join(BSC_FILTER_NOT, &taken.filter, 1, &out.filter, NULL) != BSC_OK) {
		bsc_filter_free(taken.filter);
		return nothing;
	}
	return out;
}

static enum bsc_filter_kind flipped(enum bsc_filter_kind kind)
{
	switch (kind) {
	case BSC_FILTER_GREATER:
		return BSC_FILTER_LESS;
	case BSC_FILTER_GREATER_EQUAL:
		return BSC_FILTER_LESS_EQUAL;
	case BSC_FILTER_LESS:
		return BSC_FILTER_GREATER;
	case BSC_FILTER_LESS_EQUAL:
		return BSC_FILTER_GREATER_EQUAL;
	default:
		return kind;
	}
}

/* column <kind> constant, or the other way round. */
static struct taken take_comparison(const struct taking *taking, enum bsc_filter_kind kind,
                                    duckdb_v2_expression_handle expression)
{
	duckdb_v2_expression_handle left = child_of(expression, 0), right = child_of(expression, 1);
	struct literal literal;
	if (child_count(expression) != 2) {
		return nothing;
	}
	int64_t column = column_of(taking, left);
	if (column < 0) {
		column = column_of(taking, right);
		right = left;
		kind = flipped(kind);
	}
	duckdb_v2_value_handle value = column < 0 ? NULL : constant_of(right);
	bool good = value && take_constant(value, format_of(taking->schema->children[column]), &literal) &&
	            (literal.arrow.valid || kind == BSC_FILTER_EQUAL_NULL_SAFE);
	struct taken out = good ? leaf(kind, column, &literal.arrow, 1) : nothing;
	(void)duckdb_v2_value_destroy(&value);
	return out;
}

/* column BETWEEN constant AND constant. Whether the ends belong to it is not said: taken as if. */
static struct taken take_between(const struct taking *taking, duckdb_v2_expression_handle expression)
{
	int64_t column = column_of(taking, child_of(expression, 0));
	struct bsc_filter *sides[2];
	size_t n = 0;
	for (idx_t i = 1; column >= 0 && child_count(expression) == 3 && i <= 2; i++) {
		struct literal literal;
		duckdb_v2_value_handle value = constant_of(child_of(expression, i));
		if (value && take_constant(value, format_of(taking->schema->children[column]), &literal) &&
		    literal.arrow.valid) {
			struct taken side =
			    leaf(i == 1 ? BSC_FILTER_GREATER_EQUAL : BSC_FILTER_LESS_EQUAL, column, &literal.arrow, 1);
			if (side.filter) {
				sides[n++] = side.filter;
			}
		}
		(void)duckdb_v2_value_destroy(&value);
	}
	return (struct taken){join(BSC_FILTER_AND, sides, n), false};
}

/* column IN (constant, ...). */
static struct taken take_in(const struct taking *taking, duckdb_v2_expression_handle expression)
{
	int64_t column = column_of(taking, child_of(expression, 0));
	idx_t n = child_count(expression);
	if (column < 0 || n < 2) {
		return nothing;
	}
	duckdb_v2_value_handle *values = calloc(n - 1, sizeof(duckdb_v2_value_handle));
	struct literal *literals = calloc(n - 1, sizeof(*literals));
	struct bsc_literal *plain = calloc(n - 1, sizeof(*plain));
	bool good = values && literals && plain;
	for (idx_t i = 0; good && i < n - 1; i++) {
		values[i] = constant_of(child_of(expression, i + 1));
		good = take_constant(values[i], format_of(taking->schema->children[column]), &literals[i]);
		plain[i] = literals[i].arrow;
	}
	struct taken out = good ? leaf(BSC_FILTER_IN, column, plain, n - 1) : nothing;
	for (idx_t i = 0; values && i < n - 1; i++) {
		(void)duckdb_v2_value_destroy(&values[i]);
	}
	free(plain);
	free(literals);
	free(values);
	return out;
}

static struct taken take_null_test(const struct taking *taking, enum bsc_filter_kind kind,
                                   duckdb_v2_expression_handle expression)
{
	int64_t column = column_of(taking, child_of(expression, 0));
	return column >= 0 && child_count(expression) == 1 ? leaf(kind, column, NULL, 0) : nothing;
}

/* LIKE with at most a % at either end; one with another wildcard is narrowed to how it begins. */
static struct taken take_pattern(int64_t column, duckdb_v2_str pattern)
{
	size_t begin = 0, end = pattern.len;
	while (begin < end && pattern.ptr[begin] == '%') {
		begin++;
	}
	while (end > begin && pattern.ptr[end - 1] == '%') {
		end--;
	}
	size_t plain = begin;
	while (plain < end && pattern.ptr[plain] != '%' && pattern.ptr[plain] != '_') {
		plain++;
	}
	bool from_start = begin == 0, to_end = end == pattern.len, whole = plain == end;
	struct bsc_literal text = {"u", true, {pattern.ptr + begin, plain - begin}};
	if (plain == begin || (!whole && !from_start)) {
		return nothing;
	}
	enum bsc_filter_kind kind = !whole || (from_start && !to_end) ? BSC_FILTER_STARTS_WITH
	                            : from_start                      ? BSC_FILTER_EQUAL
	                            : to_end                          ? BSC_FILTER_ENDS_WITH
	                                                              : BSC_FILTER_CONTAINS;
	struct taken out = leaf(kind, column, &text, 1);
	out.exact = whole;
	return out;
}

/* function(column, 'text'). */
static struct taken take_function(const struct taking *taking, duckdb_v2_expression_handle expression)
{
	static const struct {
		const char *name;
		enum bsc_filter_kind kind; /* 0: LIKE */
		bool negated;
	} functions[] = {
	    {"prefix", BSC_FILTER_STARTS_WITH, false},
	    {"starts_with", BSC_FILTER_STARTS_WITH, false},
	    {"^@", BSC_FILTER_STARTS_WITH, false},
	    {"suffix", BSC_FILTER_ENDS_WITH, false},
	    {"ends_with", BSC_FILTER_ENDS_WITH, false},
	    {"contains", BSC_FILTER_CONTAINS, false},
	    {"~~", 0, false},
	    {"!~~", 0, true},
	};
	duckdb_v2_identifier_t name;
	int64_t column = child_count(expression) == 2 ? column_of(taking, child_of(expression, 0)) : -1;
	if (column < 0 || !is_comparable(format_of(taking->schema->children[column]), DUCKDB_V2_LOGICAL_TYPE_ID_VARCHAR) ||
	    duckdb_v2_expression_function_get_name(expression, &name, NULL) != DUCKDB_V2_ERROR_NONE) {
		return nothing;
	}
	struct taken out = nothing;
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		if (strlen(functions[i].name) != name.len || memcmp(functions[i].name, name.ptr, name.len) != 0) {
			continue;
		}
		duckdb_v2_value_handle value = constant_of(child_of(expression, 1));
		struct literal literal;
		if (value && take_constant(value, "u", &literal) && literal.arrow.valid) {
			duckdb_v2_str text = {literal.arrow.value.ptr, literal.arrow.value.len};
			out = functions[i].kind ? leaf(functions[i].kind, column, &literal.arrow, 1) : take_pattern(column, text);
			out = functions[i].negated ? negated(out) : out;
		}
		(void)duckdb_v2_value_destroy(&value);
	}
	return out;
}

/* AND leaves out what can't be said; OR can't. */
static struct taken take_conjunction(struct taking *taking, enum bsc_filter_kind kind,
                                     duckdb_v2_expression_handle expression)
{
	idx_t n = child_count(expression);
	struct bsc_filter **children = calloc(n ? n : 1, sizeof(struct bsc_filter *));
	size_t n_taken = 0;
	bool exact = true, good = children != NULL;
	for (idx_t i = 0; good && i < n; i++) {
		struct taken child = take(taking, child_of(expression, i));
		exact = exact && child.filter && child.exact;
		good = child.filter || kind == BSC_FILTER_AND;
		if (child.filter) {
			children[n_taken++] = child.filter;
		}
	}
	for (size_t i = 0; !good && i < n_taken; i++) {
		bsc_filter_free(children[i]);
	}
	struct taken out = {good ? join(kind, children, n_taken) : NULL, exact};
	free(children);
	return out;
}

/* A BOOLEAN column is a predicate itself. */
static struct taken take_column(const struct taking *taking, duckdb_v2_expression_handle expression)
{
	int64_t column = column_of(taking, expression);
	const struct bsc_literal truth = {"b", true, {"\1", 1}};
	return column >= 0 && strcmp(format_of(taking->schema->children[column]), "b") == 0
	           ? leaf(BSC_FILTER_EQUAL, column, &truth, 1)
			   : nothing;
}

static struct taken take_node(struct taking *taking, duckdb_v2_expression_handle expression)
{
	switch (type_of(expression)) {
	case DUCKDB_V2_EXPRESSION_TYPE_COMPARE_EQUAL:
		return take_comparison(taking, BSC_FILTER_EQUAL, expression);
	case DUCKDB_V2_EXPRESSION_TYPE_COMPARE_NOTEQUAL:
		return negated(take_comparison(taking, BSC_FILTER_EQUAL, expression));
	case DUCKDB_V2_EXPRESSION_TYPE_COMPARE_LESSTHAN:
		return take_comparison(taking, BSC_FILTER_LESS, expression);
	case DUCKDB_V2_EXPRESSION_TYPE_COMPARE_LESSTHANOREQUALTO:
		return take_comparison(taking, BSC_FILTER_LESS_EQUAL, expression);
	case DUCKDB_V2_EXPRESSION_TYPE_COMPARE_GREATERTHAN:
		return take_comparison(taking, BSC_FILTER_GREATER, expression);
	case DUCKDB_V2_EXPRESSION_TYPE_COMPARE_GREATERTHANOREQUALTO:
		return take_comparison(taking, BSC_FILTER_GREATER_EQUAL, expression);
	case DUCKDB_V2_EXPRESSION_TYPE_COMPARE_NOT_DISTINCT_FROM:
		return take_comparison(taking, BSC_FILTER_EQUAL_NULL_SAFE, expression);
	case DUCKDB_V2_EXPRESSION_TYPE_COMPARE_DISTINCT_FROM:
		return negated(take_comparison(taking, BSC_FILTER_EQUAL_NULL_SAFE, expression));
	case DUCKDB_V2_EXPRESSION_TYPE_COMPARE_BETWEEN:
		return take_between(taking, expression);
	case DUCKDB_V2_EXPRESSION_TYPE_COMPARE_IN:
		return take_in(taking, expression);
	case DUCKDB_V2_EXPRESSION_TYPE_COMPARE_NOT_IN:
		return negated(take_in(taking, expression));
	case DUCKDB_V2_EXPRESSION_TYPE_OPERATOR_IS_NULL:
		return take_null_test(taking, BSC_FILTER_IS_NULL, expression);
	case DUCKDB_V2_EXPRESSION_TYPE_OPERATOR_IS_NOT_NULL:
		return take_null_test(taking, BSC_FILTER_IS_NOT_NULL, expression);
	case DUCKDB_V2_EXPRESSION_TYPE_OPERATOR_NOT:
		return negated(take(taking, child_of(expression, 0)));
	case DUCKDB_V2_EXPRESSION_TYPE_CONJUNCTION_AND:
		return take_conjunction(taking, BSC_FILTER_AND, expression);
	case DUCKDB_V2_EXPRESSION_TYPE_CONJUNCTION_OR:
		return take_conjunction(taking, BSC_FILTER_OR, expression);
	case DUCKDB_V2_EXPRESSION_TYPE_BOUND_FUNCTION:
		return take_function(taking, expression);
	case DUCKDB_V2_EXPRESSION_TYPE_BOUND_COLUMN_REF:
		return take_column(taking, expression);
	default:
		return nothing;
	}
}

static struct taken take(struct taking *taking, duckdb_v2_expression_handle expression)
{
	if (!expression || taking->depth == DEPTH_MAX) {
		return nothing;
	}
	taking->depth++;
	struct taken out = take_node(taking, expression);
	taking->depth--;
	return out;
}

/* ---- what is offered ---- */

struct bsc_filter *pushdown_take(duckdb_v2_table_function_filter_pushdown_info_handle info,
                                 const struct ArrowSchema *schema)
{
	struct taking taking = {info, schema, 0};
	idx_t n = 0;
	if (duckdb_v2_table_function_filter_pushdown_get_filter_count(info, &n, NULL) != DUCKDB_V2_ERROR_NONE) {
		return NULL;
	}
	struct bsc_filter **taken = calloc(n ? n : 1, sizeof(struct bsc_filter *));
	size_t n_taken = 0;
	for (idx_t i = 0; taken && i < n; i++) {
		duckdb_v2_expression_handle expression = NULL;
		if (duckdb_v2_table_function_filter_pushdown_get_filter(info, i, &expression, NULL) == DUCKDB_V2_ERROR_NONE) {
			struct taken one = take(&taking, expression);
			if (one.filter) {
				taken[n_taken++] = one.filter;
			}
		}
	}
	struct bsc_filter *out = taken ? join(BSC_FILTER_AND, taken, n_taken) : NULL;
	free(taken);
	return out;
}

struct bsc_filter *pushdown_either(struct bsc_filter *before, struct bsc_filter *now)
{
	if (!before || !now) {
		bsc_filter_free(before);
		bsc_filter_free(now);
		return NULL;
	}
	if (bsc_filter_equal(before, now)) {
		bsc_filter_free(now);
		return before;
	}
	return join(BSC_FILTER_OR, (struct bsc_filter *[]){before, now}, 2);
}
