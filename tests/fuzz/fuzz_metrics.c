/* METRICS, as a worker sends them: what is kept of them is text, and no more than may be. */
#include "base/meter.h"
#include "fuzz.h"
#include "process/question.h"

#include <string.h>

static void check_names(const struct bsc__names *names)
{
	CHECK(names->n >= 0 && names->n <= BSC_METRICS_MAX);
	for (int64_t i = 0; i < names->n; i++) {
		size_t len = strlen(names->items[i].name);
		CHECK(len > 0 && len <= BSC_METRIC_NAME_MAX && bsc__utf8_valid(names->items[i].name, len) == len);
		for (int64_t k = 0; k < i; k++) {
			CHECK(strcmp(names->items[i].name, names->items[k].name) != 0);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new();
	struct bsc__names names, total;
	struct bsc_meter meter = {.names = &names};
	bsc__names_init(&names);
	bsc__names_init(&total);
	/* Frames, one after the other. */
	for (struct input in = {data, size}; in.left;) {
		size_t n = (size_t)take(&in) * 8;
		n = n > in.left ? in.left : n;
		uint8_t *payload = arena_take(arena, n); /* of the exact size */
		if (n) {
			memcpy(payload, in.at, n);
		}
		in.at += n;
		in.left -= n;
		struct bsc__frame frame = {.type = BSC__METRICS, .payload = {payload, n, false}, .fd = -1};
		int64_t ahead = meter.ahead_bytes;
		bsc__take_metrics(&meter, &frame);
		CHECK(meter.ahead_bytes >= ahead && meter.waiting_ns == 0);
		check_names(&names);
		frame.payload = (struct bsc__view){payload, n, false};
		bsc__take_metrics(NULL, &frame); /* nobody's */
	}
	CHECK(bsc__names_add(&total, &names) && total.n == names.n);
	check_names(&total);
	bsc__names_clear(&names);
	CHECK(names.n == 0);
	bsc__names_release(&names);
	bsc__names_release(&total);
	arena_free(arena);
	return 0;
}
