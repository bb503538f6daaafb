/* What of Arrow's C structs must be looked at before anything else is. */
#include <string.h>

#include "base/base.h"

/* Its whole size is said nowhere: that lengths aren't negative is all to be seen. */
static bool has_negative_length(const char *metadata)
{
	int32_t n_pairs, length;
	memcpy(&n_pairs, metadata, sizeof(n_pairs));
	metadata += sizeof(n_pairs);
	bool negative = n_pairs < 0;
	for (int64_t i = 0; i < 2 * (int64_t)n_pairs && !negative; i++) {
		memcpy(&length, metadata, sizeof(length));
		negative = length < 0;
		metadata += sizeof(length) + (size_t)(negative ? 0 : length);
	}
	return negative;
}

const char *bsc__field_broken(const struct ArrowSchema *field)
{
	if (!field || !field->release) {
		return "has a schema that was released";
	}
	if (!field->format) {
		return "has a schema without a format";
	}
	if (field->n_children < 0 || (field->n_children > 0 && !field->children)) {
		return "has a schema without its list of fields";
	}
	if (field->metadata && has_negative_length(field->metadata)) {
		return "has metadata with a negative count or length";
	}
	return NULL;
}
