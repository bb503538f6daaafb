/* Spans of time, merged in pairs where there would be too many. */
#include "scan/timeline.h"

#include "base/base.h"

void bsc__timeline_init(struct bsc__timeline *timeline, int64_t n_partitions)
{
	int64_t most = BSC__SPANS_PER_SCAN / (n_partitions > 0 ? n_partitions : 1);
	*timeline = (struct bsc__timeline){.most = most > BSC__SPANS_LEAST ? most : BSC__SPANS_LEAST, .pulls = 1};
}

void bsc__timeline_release(struct bsc__timeline *timeline)
{
	bsc__free(timeline->spans);
	*timeline = (struct bsc__timeline){0};
}

static void merge(struct bsc__span *span, const struct bsc__span *next)
{
	span->ended_ns = next->ended_ns;
	span->pulled_ns += next->pulled_ns;
	span->python_ns += next->python_ns;
	span->waiting_ns += next->waiting_ns;
	span->pulls += next->pulls;
	span->batches += next->batches;
	span->rows += next->rows;
	span->bytes += next->bytes;
}

/* Half as many spans, of twice as many pulls. */
static void coarsen(struct bsc__timeline *timeline)
{
	int64_t n = 0;
	for (int64_t i = 0; i < timeline->n; i += 2) {
		struct bsc__span *to = &timeline->spans[n++];
		*to = timeline->spans[i];
		if (i + 1 < timeline->n) {
			merge(to, &timeline->spans[i + 1]);
		}
	}
	timeline->n = n;
	timeline->pulls *= 2;
}

static bool reserve(struct bsc__timeline *timeline, int64_t n)
{
	struct bsc__span *grown = bsc__resize(timeline->spans, (size_t)n, sizeof(*grown));
	if (!grown) {
		return false;
	}
	timeline->spans = grown;
	timeline->capacity = n;
	return true;
}

bool bsc__timeline_begin(struct bsc__timeline *timeline)
{
	return timeline->capacity || reserve(timeline, BSC__SPANS_LEAST);
}

void bsc__timeline_add(struct bsc__timeline *timeline, const struct bsc__span *pull)
{
	struct bsc__span *last = timeline->n ? &timeline->spans[timeline->n - 1] : NULL;
	if (last && last->pulls < timeline->pulls && last->thread == pull->thread && last->worker == pull->worker) {
		merge(last, pull);
		return;
	}
	if (timeline->n == timeline->most ||
	    (timeline->n == timeline->capacity && !reserve(timeline, 2 * timeline->capacity))) {
		coarsen(timeline);
	}
	timeline->spans[timeline->n++] = *pull;
}
