/* Meters: times and counts, added up. */
#include "base/meter.h"

#include <string.h>

void bsc__names_init(struct bsc__names *names)
{
	memset(names, 0, sizeof(*names));
	pthread_mutex_init(&names->lock, NULL);
}

void bsc__names_clear(struct bsc__names *names)
{
	pthread_mutex_lock(&names->lock);
	for (int64_t i = 0; i < names->n; i++) {
		bsc__free(names->items[i].name);
	}
	names->n = 0;
	pthread_mutex_unlock(&names->lock);
}

void bsc__names_release(struct bsc__names *names)
{
	bsc__names_clear(names);
	pthread_mutex_destroy(&names->lock);
}

static bool add(struct bsc__names *names, struct bsc_str name, double value)
{
	int64_t i = 0;
	while (i < names->n && !bsc__str_equal(bsc__str(names->items[i].name), name)) {
		i++;
	}
	if (i == names->n) {
		if (i == BSC_METRICS_MAX || !(names->items[i].name = bsc__strndup(name))) {
			return false;
		}
		names->items[i].value = 0;
		names->n++;
	}
	names->items[i].value += value;
	return true;
}

bool bsc__names_add(struct bsc__names *names, struct bsc__names *from)
{
	bool good = true;
	pthread_mutex_lock(&from->lock);
	for (int64_t i = 0; good && i < from->n; i++) {
		good = add(names, bsc__str(from->items[i].name), from->items[i].value);
	}
	pthread_mutex_unlock(&from->lock);
	return good;
}

bool bsc_meter_report(struct bsc_meter *meter, struct bsc_str name, double value)
{
	if (!name.len || name.len > BSC_METRIC_NAME_MAX || memchr(name.ptr, '\0', name.len) ||
	    bsc__utf8_valid(name.ptr, name.len) != name.len) {
		return false;
	}
	pthread_mutex_lock(&meter->names->lock);
	bool kept = add(meter->names, name, value);
	pthread_mutex_unlock(&meter->names->lock);
	return kept;
}

void bsc_meter_time(struct bsc_meter *meter, int64_t python_ns, int64_t waiting_ns)
{
	atomic_fetch_add(&meter->python_ns, python_ns);
	atomic_fetch_add(&meter->waiting_ns, waiting_ns);
}

void bsc_meter_ahead(struct bsc_meter *meter, int64_t bytes)
{
	int64_t most = atomic_load(&meter->ahead_bytes);
	while (bytes > most && !atomic_compare_exchange_weak(&meter->ahead_bytes, &most, bytes)) {
	}
}

void bsc_meter_worker(struct bsc_meter *meter, int64_t pid)
{
	atomic_store(&meter->worker, pid);
}
