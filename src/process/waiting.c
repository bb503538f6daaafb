/* The host's waits. */
#include "process/waiting.h"

#include <time.h>

static const struct bsc_process_host *host;

void bsc_process_set_host(const struct bsc_process_host *given)
{
	host = given;
}

const struct bsc_process_host *bsc__process_host(void)
{
	static const struct bsc_process_host none;
	return host ? host : &none;
}

bool bsc__on_main(void)
{
	const struct bsc_process_host *h = bsc__process_host();
	return h->is_main_thread && h->is_main_thread();
}

unsigned bsc__interrupts(void)
{
	const struct bsc_process_host *h = bsc__process_host();
	return h->interrupts ? h->interrupts() : 0;
}

struct bsc__wait bsc__wait_begin(const struct bsc_poll *poll, int64_t timeout_ms, bool on_main)
{
	return (struct bsc__wait){.poll = poll, .timeout_ms = timeout_ms, .on_main = on_main, .since = bsc__interrupts()};
}

bool bsc__wait_unwanted(const struct bsc__wait *wait)
{
	return (wait->on_main && bsc__interrupts() != wait->since) ||
	       (wait->poll && wait->poll->interrupted && wait->poll->interrupted(wait->poll->ctx));
}

void bsc__waiting_begin(struct bsc__waiting *waiting)
{
	if (!waiting->begun) {
		waiting->begun = true;
		waiting->host = bsc__process_host()->wait_begin ? bsc__process_host()->wait_begin() : NULL;
	}
}

void bsc__waiting_end(struct bsc__waiting *waiting)
{
	if (waiting->begun && bsc__process_host()->wait_end) {
		bsc__process_host()->wait_end(waiting->host, waiting->interrupted);
	}
}

void bsc__cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int timeout_ms)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += timeout_ms * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(cond, mutex, &until);
}
