/* What of Arrow's C structs must be looked at before anything else is. */
#include <string.h>

#include "base/base.h"

int64_t bsc__metadata_length(const char *metadata, uint64_t max)
{
	int32_t n_pairs, length;
	uint64_t at = sizeof(n_pairs);
	if (max < at) {
		return -1;
	}
	memcpy(&n_pairs, metadata, sizeof(n_pairs));
	if (n_pairs < 0) {
		return -1;
	}
	for (int64_t i = 0; i < 2 * (int64_t)n_pairs; i++) {
		if (max - at < sizeof(length)) {
			return -1;
		}
		memcpy(&length, metadata + at, sizeof(length));
		at += sizeof(length);
		if (length < 0 || (uint64_t)length > max - at) {
			return -1;
		}
		at += (uint64_t)length;
	}
	return (int64_t)at;
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
	if (field->metadata && bsc__metadata_length(field->metadata, INT64_MAX) < 0) {
		return "has metadata with a negative count or length";
	}
	return NULL;
}
