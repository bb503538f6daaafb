/* Turns of a plan's partitions. */
#include "process/turns.h"

int bsc__turns_init(struct bsc__turns *turns, int64_t n, int64_t most, struct bsc_error *err)
{
	*turns = (struct bsc__turns){.n = n, .most = most, .begun = bsc__calloc((size_t)n / 8 + 1, 1)};
	if (!turns->begun) {
		return bsc__fail_nomem(err, "planning a scan");
	}
	pthread_mutex_init(&turns->lock, NULL);
	pthread_cond_init(&turns->changed, NULL);
	return BSC_OK;
}

void bsc__turns_release(struct bsc__turns *turns)
{
	if (turns->begun) {
		pthread_cond_destroy(&turns->changed);
		pthread_mutex_destroy(&turns->lock);
		bsc__free(turns->begun);
		turns->begun = NULL;
	}
}

static void set_begun(struct bsc__turns *turns, int64_t partition)
{
	turns->begun[partition / 8] |= (uint8_t)(1u << (partition % 8));
	while (turns->first_unbegun < turns->n &&
	       (turns->begun[turns->first_unbegun / 8] >> (turns->first_unbegun % 8) & 1)) {
		turns->first_unbegun++;
	}
}

static bool is_lowest(const struct bsc__turns *turns, int64_t partition)
{
	for (const struct bsc__turn *t = turns->waiting; t; t = t->next) {
		if (t->partition < partition) {
			return false;
		}
	}
	return true;
}

/* With lock held. The last free place is for the lowest partition, also if that is about to come. And if the host takes
 * no batches at all for a while, it reads partitions side by side and waits for this one: then there are twice as many
 * places from now on. */
static bool is_free(struct bsc__turns *turns, int64_t partition, int64_t waited_ms)
{
	enum { STALLED_MS = 250, ABOUT_TO_MS = 20 };
	int64_t n_free = turns->most - turns->n_taken;
	if (n_free > 1) {
		return true;
	}
	if (n_free == 1) {
		return is_lowest(turns, partition) && (partition <= turns->first_unbegun || waited_ms >= ABOUT_TO_MS);
	}
	if (turns->n_asked > 0 || waited_ms < STALLED_MS || bsc__now_ms() - turns->asked_ms < STALLED_MS) {
		return false;
	}
	turns->most *= 2;
	return true;
}

static void leave(struct bsc__turns *turns, const struct bsc__turn *turn)
{
	for (struct bsc__turn **link = &turns->waiting; *link; link = &(*link)->next) {
		if (*link == turn) {
			*link = turn->next;
			break;
		}
	}
}

int bsc__turns_take(struct bsc__turns *turns, int64_t partition, const struct bsc__wait *wait, const char *doing,
                    struct bsc_error *err)
{
	enum { SLICE_MS = 10 };
	struct bsc__waiting waiting = {0};
	struct bsc__turn turn = {.partition = partition};
	int64_t begun_ms = 0;
	pthread_mutex_lock(&turns->lock);
	turn.next = turns->waiting;
	turns->waiting = &turn;
	while (!waiting.interrupted && !is_free(turns, partition, begun_ms ? bsc__now_ms() - begun_ms : 0)) {
		begun_ms = begun_ms ? begun_ms : bsc__now_ms();
		pthread_mutex_unlock(&turns->lock);
		bsc__waiting_begin(&waiting);
		waiting.interrupted = bsc__wait_unwanted(wait);
		pthread_mutex_lock(&turns->lock);
		if (!waiting.interrupted) {
			bsc__cond_wait(&turns->changed, &turns->lock, SLICE_MS);
		}
	}
	leave(turns, &turn);
	if (!waiting.interrupted) {
		turns->n_taken++;
		turns->n_asked++;
		set_begun(turns, partition);
	}
	pthread_cond_broadcast(&turns->changed);
	pthread_mutex_unlock(&turns->lock);
	bsc__waiting_end(&waiting);
	return waiting.interrupted
	           ? bsc__fail(err, BSC_CANCELLED, "%s: cancelled while it waited for another partition's end", doing)
			   : BSC_OK;
}

int64_t bsc__turns_most(struct bsc__turns *turns)
{
	pthread_mutex_lock(&turns->lock);
	int64_t most = turns->most;
	pthread_mutex_unlock(&turns->lock);
	return most;
}

void bsc__turns_give_back(struct bsc__turns *turns)
{
	pthread_mutex_lock(&turns->lock);
	turns->n_taken--;
	pthread_cond_broadcast(&turns->changed);
	pthread_mutex_unlock(&turns->lock);
}

void bsc__turns_ask(struct bsc__turns *turns)
{
	pthread_mutex_lock(&turns->lock);
	turns->n_asked++;
	pthread_mutex_unlock(&turns->lock);
}

void bsc__turns_got(struct bsc__turns *turns)
{
	pthread_mutex_lock(&turns->lock);
	turns->n_asked--;
	turns->asked_ms = bsc__now_ms();
	pthread_mutex_unlock(&turns->lock);
}
