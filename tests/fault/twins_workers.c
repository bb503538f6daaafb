/* Worker processes: what allocates nothing. What does is not alone in the process (fault_process.c). */
#include "world.h"

static int call_executor(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	assert_ptr_equal(bsc_process_executor(), bsc_process_executor());
	assert_string_equal(bsc_process_executor()->name, "process");
	return BSC_OK;
}

static int call_set_host(struct world *w, struct bsc_error *err)
{
	static const struct bsc_process_host host;
	(void)w;
	(void)err;
	bsc_process_set_host(&host);
	bsc_process_set_host(NULL);
	return BSC_OK;
}

static int call_end_workers(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	bsc_process_end_workers(1000);
	return BSC_OK;
}

static int call_worker_count(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	assert_int_equal(bsc_process_worker_count(), 0);
	return BSC_OK;
}

const struct twin twins_workers[] = {
    {"bsc_process_executor", "", false, .call = call_executor},
    {"bsc_process_set_host", "", false, .call = call_set_host},
    {"bsc_process_end_workers", "there are none", false, .call = call_end_workers},
    {"bsc_process_worker_count", "", false, .call = call_worker_count},
};
const size_t n_twins_workers = LENGTH(twins_workers);
