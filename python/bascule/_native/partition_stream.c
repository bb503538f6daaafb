/* A partition as an ArrowArrayStream. */
#include "partition_stream.h"

#include <errno.h>
#include <stdlib.h>

#include "raised.h"

struct stream {
	struct bsc_cursor *cursor;
	struct bsc_plan *plan;
	struct bsc_error error;
};

static int errno_of(int status)
{
	switch (status) {
	case BSC_OK:
		return 0;
	case BSC_NOMEM:
		return ENOMEM;
	case BSC_INVALID:
		return EINVAL;
	case BSC_CANCELLED:
		return ECANCELED;
	default:
		return EIO;
	}
}

static int stream_get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
	struct stream *self = stream->private_data;
	return errno_of(bsc_schema_copy(bsc_plan_schema(self->plan), out, &self->error));
}

static int stream_get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
	struct stream *self = stream->private_data;
	return errno_of(bsc_cursor_next(self->cursor, NULL, out, &self->error));
}

static const char *stream_get_last_error(struct ArrowArrayStream *stream)
{
	struct stream *self = stream->private_data;
	return self->error.status == BSC_OK ? NULL : self->error.message;
}

static void stream_release(struct ArrowArrayStream *stream)
{
	struct stream *self = stream->private_data;
	bsc_cursor_close(self->cursor);
	bsc_plan_free(self->plan);
	free(self);
	stream->release = NULL;
}

int partition_stream_open(struct bsc_plan *plan, struct bsc_scan *scan, int64_t partition, struct ArrowArrayStream *out,
                          struct bsc_error *err)
{
	struct stream *self = calloc(1, sizeof(*self));
	if (!self) {
		return raised_fail_text(err, BSC_NOMEM, "out of memory");
	}
	int rc = bsc_cursor_open_partition(scan, partition, &self->cursor, err);
	if (rc != BSC_OK) {
		free(self);
		return rc;
	}
	bsc_plan_ref(plan);
	self->plan = plan;
	*out = (struct ArrowArrayStream){stream_get_schema, stream_get_next, stream_get_last_error, stream_release, self};
	return BSC_OK;
}
