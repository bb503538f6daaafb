/* The workers that there are, and the thread that looks after them. */
#include "process/pool.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "process/os.h"
#include "process/prints.h"
#include "process/worker.h"

/* How long a worker may be idle, ask to end, and go on with what nobody wants: until it is
 * interrupted, then until it is killed. */
#define IDLE_MS 60000
/* Of those that are more than a scan asks for: queries may follow each other, each with the same need. */
#define EXTRA_IDLE_MS 5000
#define QUIT_MS 3000
#define INTERRUPT_MS 500
#define KILL_MS 3000
/* And how long a class may take to close. */
#define CLOSE_MS 30000
/* How long callers wait without any worker coming back before one more is started. */
#define OVERFLOW_MS 100
/* And for one whose read was given up: mostly it is about to end it. */
#define DRAIN_MS 30
/* How long a worker that its caller keeps still counts: between a plan and its first read it is at rest too. */
#define REST_MS 30
/* How long the host's end waits for stderr to take the last prints. */
#define LAST_PRINTS_MS 200
/* How often it is tried to send what a worker did not take. */
#define FLUSH_MS 20

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER; /* a worker came back, or is gone */
static struct bsc__worker *workers;                       /* guarded by lock; each with a reference */
static int64_t moved_ms;                                  /* guarded by lock: when one last came back, or was new */
static int64_t n_warm;                                    /* guarded by lock: to keep of one key */
static bool thread_runs;                                  /* guarded by lock */
static int wake_ends[2] = {-1, -1};                       /* a byte: the thread is to look again */

/* ---- keys ---- */

int bsc__pool_key_copy(const struct bsc__pool_key *key, struct bsc__pool_key *out, struct bsc_error *err)
{
	*out = (struct bsc__pool_key){
	    .python = bsc__strndup(bsc__str(key->python)),
	    .has_path = key->has_path,
	    .memory_bytes = key->memory_bytes,
	};
	if (!out->python) {
		bsc__pool_key_release(out);
		return bsc__fail_nomem(err, "looking for a worker process");
	}
	return BSC_OK;
}

bool bsc__pool_key_equal(const struct bsc__pool_key *a, const struct bsc__pool_key *b)
{
	return a->memory_bytes == b->memory_bytes && a->has_path == b->has_path && strcmp(a->python, b->python) == 0;
}

void bsc__pool_key_release(struct bsc__pool_key *key)
{
	bsc__free(key->python);
	*key = (struct bsc__pool_key){0};
}

/* ---- states; with lock held ---- */

static void set_state(struct bsc__worker *worker, enum bsc__worker_state state)
{
	worker->state = state;
	worker->parked = false;
	worker->draining = 0;
	worker->since_ms = bsc__now_ms();
	moved_ms = state == BSC__WORKER_IDLE ? worker->since_ms : moved_ms;
	worker->interrupted = false;
	pthread_cond_broadcast(&changed);
}

void bsc__pool_wake(void)
{
	if (wake_ends[1] >= 0 && write(wake_ends[1], "", 1) < 0) {
		return; /* full: it is awake */
	}
}

/* Sends a frame without a payload. Without waiting: who sends to it now may have to wait for long. */
static void tell(struct bsc__worker *worker, enum bsc__frame_type type, uint64_t number)
{
	struct bsc__bytes out;
	bsc__bytes_init(&out, 64);
	bsc__frame_end(&out, bsc__frame_begin(&out, type, number));
	bsc__worker_post(worker, &out);
	bsc__bytes_release(&out);
}

static void quit(struct bsc__worker *worker)
{
	set_state(worker, BSC__WORKER_QUITTING);
	tell(worker, BSC__QUIT, 0);
	bsc__pool_wake();
}

static void die(struct bsc__worker *worker)
{
	set_state(worker, BSC__WORKER_DEAD);
	bsc__worker_signal(worker, SIGKILL);
	bsc__pool_wake();
}

static bool knows(const struct bsc__worker *worker, uint64_t instance)
{
	for (size_t i = 0; i < worker->n_instances; i++) {
		if (worker->instances[i] == instance) {
			return true;
		}
	}
	return false;
}

/* ---- the thread ---- */

#define WATCHED_MAX 1024

/* What the thread waits for, and whose it is. */
struct watched {
	struct pollfd polls[2 * WATCHED_MAX + 2];    /* the last: stderr, while it is full */
	struct bsc__worker *of[2 * WATCHED_MAX + 1]; /* each with a reference */
	size_t n;
};

static void watch(struct watched *watched, struct bsc__worker *worker, int fd, short events)
{
	if (fd >= 0 && watched->n < 2 * WATCHED_MAX) {
		bsc__worker_ref(worker);
		watched->polls[++watched->n] = (struct pollfd){fd, events, 0};
		watched->of[watched->n] = worker;
	}
}

/* DRAINING: reads until the answer. With lock held: nobody else has it. True: there may be more, which one that
 * floods always has. */
static bool drain(struct bsc__worker *worker)
{
	enum { FRAMES_AT_ONCE = 256 };
	struct bsc__frame frame;
	struct bsc_error err;
	for (int i = 0; i < FRAMES_AT_ONCE; i++) {
		enum bsc__channel_state state = bsc__channel_receive(&worker->channel, &frame, &err);
		if (state == BSC__CHANNEL_EMPTY) {
			return false;
		}
		if (state != BSC__CHANNEL_FRAME) {
			die(worker);
			return false;
		}
		switch (frame.type) {
		case BSC__SEGMENT:
		case BSC__DROP:
			if (bsc__worker_take_memory(worker, &frame, &err) != BSC_OK) {
				die(worker);
				return false;
			}
			break;
		case BSC__BATCH:
			bsc__worker_ref(worker);
			bsc__pool_release_slot(worker, frame.number, 0);
			break;
		case BSC__CLOSED:
			worker->closing = frame.number == worker->closing ? 0 : worker->closing;
			break;
		case BSC__FAILED:
			if (bsc__get_u32(&frame.payload) != BSC_CANCELLED) {
				die(worker); /* as one that failed in a caller's hands */
				return false;
			}
			worker->draining = frame.number == worker->draining ? 0 : worker->draining;
			break;
		case BSC__END:
		case BSC__OPENED:
		case BSC__PLANNED:
		case BSC__PREPARED:
		case BSC__COUNTED:
		case BSC__CLAIMED:
		case BSC__LOCATED:
			worker->draining = frame.number == worker->draining ? 0 : worker->draining;
			break;
		default:
			break;
		}
		if (!worker->draining && !worker->closing) {
			set_state(worker, BSC__WORKER_IDLE);
			return false;
		}
	}
	return true;
}

static int64_t count_idle(const struct bsc__worker *like)
{
	int64_t n = 0;
	for (const struct bsc__worker *w = workers; w; w = w->next) {
		n += w->state == BSC__WORKER_IDLE && bsc__pool_key_equal(&w->key, &like->key);
	}
	return n;
}

/* What is due of one worker. With lock held. Returns ms until it is to be looked at again. */
static int64_t look_after(struct bsc__worker *worker, int64_t now)
{
	int64_t age = now - worker->since_ms;
	switch (worker->state) {
	case BSC__WORKER_IDLE: {
		int64_t most = count_idle(worker) > n_warm ? EXTRA_IDLE_MS : IDLE_MS;
		if (age >= most) {
			quit(worker);
			return QUIT_MS;
		}
		return most - age;
	}
	case BSC__WORKER_DRAINING:
		if (age >= (worker->draining ? KILL_MS : CLOSE_MS)) {
			die(worker);
			return 0;
		}
		if (!worker->draining) {
			return CLOSE_MS - age;
		}
		if (age >= INTERRUPT_MS && !worker->interrupted) {
			worker->interrupted = true;
			bsc__worker_signal(worker, SIGINT);
		}
		return worker->interrupted ? KILL_MS - age : INTERRUPT_MS - age;
	case BSC__WORKER_QUITTING:
		if (age >= QUIT_MS) {
			die(worker);
			return 0;
		}
		return QUIT_MS - age;
	case BSC__WORKER_DEAD:
		return 5;
	case BSC__WORKER_STARTING:
	case BSC__WORKER_BUSY:
		break;
	}
	return IDLE_MS;
}

/* Lets go of those that have ended. With lock held. */
static void bury(void)
{
	for (struct bsc__worker **link = &workers; *link;) {
		struct bsc__worker *w = *link;
		bool over = w->state == BSC__WORKER_DEAD || w->state == BSC__WORKER_QUITTING;
		if (!over || !bsc__worker_reap(w, 0)) {
			link = &w->next;
			continue;
		}
		bsc__prints_take_last(w);
		bsc__worker_close(w);
		*link = w->next;
		bsc__worker_unref(w);
		pthread_cond_broadcast(&changed);
	}
}

/* With lock held: everything that is due, and what to wait for. Returns for how long. */
static int64_t look_around(struct watched *watched)
{
	int64_t next = IDLE_MS, now = bsc__now_ms();
	bury();
	for (struct bsc__worker *w = workers; w; w = w->next) {
		bool more = w->state == BSC__WORKER_DRAINING && drain(w);
		int64_t due = look_after(w, now);
		if (bsc__channel_flush(&w->channel) && due > FLUSH_MS) {
			due = FLUSH_MS;
		}
		due = more ? 0 : due;
		int64_t late = bsc__prints_take_late(w, now);
		due = late < due ? late : due;
		next = due < next ? due : next;
	}
	bool full = bsc__prints_left();
	watched->n = 0;
	for (struct bsc__worker *w = workers; w; w = w->next) {
		if (w->state != BSC__WORKER_STARTING && !full) {
			watch(watched, w, w->output, POLLIN);
		}
		if (w->state == BSC__WORKER_DRAINING) {
			watch(watched, w, w->channel.fd, POLLIN);
		} else if (w->state == BSC__WORKER_IDLE || w->state == BSC__WORKER_QUITTING) {
			watch(watched, w, w->channel.fd, 0); /* its closing */
		}
	}
	watched->polls[watched->n + 1] = (struct pollfd){full ? STDERR_FILENO : -1, POLLOUT, 0};
	return next < 1 ? 1 : next;
}

static void *run(void *unused)
{
	(void)unused;
	static struct watched watched;
	char byte[64];
	/* Another comes first each time: while stderr is slow the first alone may find room for its prints. */
	for (size_t turn = 0;; turn++) {
		(void)bsc__prints_flush();
		pthread_mutex_lock(&lock);
		int64_t wait_ms = look_around(&watched);
		pthread_mutex_unlock(&lock);
		watched.polls[0] = (struct pollfd){wake_ends[0], POLLIN, 0};
		(void)poll(watched.polls, watched.n + 2, (int)wait_ms);
		while (read(wake_ends[0], byte, sizeof(byte)) > 0) {
		}
		for (size_t k = 0; k < watched.n; k++) {
			size_t i = 1 + (turn + k) % watched.n;
			struct bsc__worker *w = watched.of[i];
			short got = watched.polls[i].revents;
			if (watched.polls[i].events == POLLIN && got) {
				bsc__prints_take(w);
			} else if (got & (POLLHUP | POLLERR)) {
				pthread_mutex_lock(&lock);
				if (w->state == BSC__WORKER_IDLE) {
					die(w);
				}
				pthread_mutex_unlock(&lock);
			}
			bsc__worker_unref(w);
		}
		/* What is killed is gone within a millisecond; not at once. */
		nanosleep(&(struct timespec){0, 200000}, NULL);
	}
	return NULL;
}

/* ---- fork ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

/* The workers are the parent's. Their sockets are closed here, or they would not see the
 * parent's end. Threads that are not here may have held their locks. */
static void after_fork_in_child(void)
{
	for (struct bsc__worker *w = workers; w; w = w->next) {
		w->foreign = true;
		pthread_mutex_init(&w->lock, NULL);
		bsc__channel_forked(&w->channel);
		for (int *fd = (int[]){w->output, w->crash, -2}; *fd != -2; fd++) {
			if (*fd >= 0) {
				(void)close(*fd);
			}
		}
		w->output = w->crash = -1;
		w->reaped = true;
		strcpy(w->how, "belongs to the process that this one is a fork of");
	}
	for (int i = 0; i < 2; i++) {
		if (wake_ends[i] >= 0) {
			(void)close(wake_ends[i]);
		}
		wake_ends[i] = -1;
	}
	workers = NULL;
	bsc__prints_forked();
	thread_runs = false;
	changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	pthread_mutex_unlock(&lock);
}

/* With lock held. */
static int ensure_thread(struct bsc_error *err)
{
	static bool watches_forks;
	if (thread_runs) {
		return BSC_OK;
	}
	if (!watches_forks) {
		watches_forks = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
	}
	int rc = wake_ends[0] >= 0 ? BSC_OK : bsc__os_pipe(wake_ends, err);
	if (rc != BSC_OK) {
		return rc;
	}
	(void)fcntl(wake_ends[1], F_SETFL, O_NONBLOCK);
	sigset_t all, before;
	pthread_t thread;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int code = pthread_create(&thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code != 0) {
		return bsc__fail(err, BSC_WORKER, "no thread can be started that looks after worker processes: %s",
		                 strerror(code));
	}
	pthread_detach(thread);
	thread_runs = true;
	return BSC_OK;
}

/* ---- check-out ---- */

static struct bsc__worker *find_idle(const struct bsc__pool_key *key, uint64_t instance)
{
	struct bsc__worker *found = NULL;
	for (struct bsc__worker *w = workers; w; w = w->next) {
		if (w->state == BSC__WORKER_IDLE && bsc__pool_key_equal(&w->key, key)) {
			bool better = !found || (instance && knows(w, instance) && !knows(found, instance));
			found = better ? w : found;
		}
	}
	return found;
}

/* Those that are at work, or not at rest for long. */
static int64_t count_live(const struct bsc__pool_key *key)
{
	int64_t n = 0, now = bsc__now_ms();
	for (const struct bsc__worker *w = workers; w; w = w->next) {
		n += w->state != BSC__WORKER_QUITTING && w->state != BSC__WORKER_DEAD &&
		     (!w->parked || now - w->parked_ms < REST_MS) && bsc__pool_key_equal(&w->key, key);
	}
	return n;
}

/* Waits for a change, at most a slice. With lock held. */
static void wait_for_change(void)
{
	enum { SLICE_MS = 20 };
	bsc__cond_wait(&changed, &lock, SLICE_MS);
}

/* Will one be free within milliseconds? */
static bool is_one_draining(const struct bsc__pool_key *key)
{
	for (const struct bsc__worker *w = workers; w; w = w->next) {
		if (w->state == BSC__WORKER_DRAINING && bsc__pool_key_equal(&w->key, key)) {
			return true;
		}
	}
	return false;
}

/* Do callers wait for each other, or for an engine that takes no batches? As long as workers come back there
 * is no need of more; nor are fifty of them started where one would do. With lock held. */
static bool is_stalled(const struct bsc__pool_key *key, int64_t begun)
{
	for (const struct bsc__worker *w = workers; w; w = w->next) {
		if (w->state == BSC__WORKER_STARTING && bsc__pool_key_equal(&w->key, key)) {
			return false;
		}
	}
	return bsc__now_ms() - (begun > moved_ms ? begun : moved_ms) >= OVERFLOW_MS;
}

/* Is one more to be started, rather than to wait on? With lock held. */
static bool needs_another(const struct bsc__pool_key *key, int64_t n_workers, int64_t begun)
{
	bool is_allowed = count_live(key) < n_workers;
	bool comes_back = is_one_draining(key) && bsc__now_ms() - begun < DRAIN_MS;
	return (is_allowed && !comes_back) || is_stalled(key, begun);
}

/* With lock held; not while it waits. */
static int start_one(const struct bsc__pool_key *key, const char *label, const struct bsc__wait *wait,
                     struct bsc__worker **out, struct bsc_error *err)
{
	struct bsc__worker *worker;
	int rc = bsc__worker_new(key, label, &worker, err);
	if (rc != BSC_OK) {
		return rc;
	}
	rc = bsc__worker_spawn(worker, err);
	if (rc != BSC_OK) {
		bsc__worker_unref(worker);
		return rc;
	}
	bsc__worker_ref(worker);
	set_state(worker, BSC__WORKER_STARTING);
	worker->next = workers;
	workers = worker;
	pthread_mutex_unlock(&lock);
	rc = bsc__worker_greet(worker, wait, err);
	pthread_mutex_lock(&lock);
	moved_ms = bsc__now_ms();
	if (rc == BSC_OK) {
		set_state(worker, BSC__WORKER_BUSY);
		bsc__pool_wake();
		*out = worker;
	} else {
		die(worker);
		bsc__worker_unref(worker);
	}
	return rc;
}

bool bsc__pool_is_well(struct bsc__worker *worker)
{
	enum { DROPS_MAX = 1 << 16 };
	struct bsc__frame frame;
	struct bsc_error ignored;
	enum bsc__channel_state state;
	int n_drops = 0;
	while ((state = bsc__channel_receive(&worker->channel, &frame, &ignored)) == BSC__CHANNEL_FRAME &&
	       frame.type == BSC__DROP && n_drops++ < DROPS_MAX) {
		bsc__segments_drop(&worker->segments, frame.number);
	}
	if (state == BSC__CHANNEL_FRAME && frame.fd >= 0) {
		(void)close(frame.fd);
	}
	return state == BSC__CHANNEL_EMPTY;
}

int bsc__pool_check_out(const struct bsc__pool_key *key, uint64_t prefer_instance, int64_t n_workers, const char *label,
                        const struct bsc__wait *wait, struct bsc__worker **out, struct bsc_error *err)
{
	int64_t begun = bsc__now_ms();
	struct bsc__waiting waiting = {0};
	int rc = BSC_OK;
	*out = NULL;
	pthread_mutex_lock(&lock);
	rc = ensure_thread(err);
	n_warm = n_workers > n_warm ? n_workers : n_warm;
	while (rc == BSC_OK && !*out) {
		struct bsc__worker *found = find_idle(key, prefer_instance);
		if (found && bsc__pool_is_well(found)) {
			set_state(found, BSC__WORKER_BUSY);
			bsc__worker_ref(found);
			*out = found;
		} else if (found) {
			die(found);
		} else if (needs_another(key, n_workers, begun)) {
			rc = start_one(key, label, wait, out, err);
		} else {
			pthread_mutex_unlock(&lock);
			bsc__waiting_begin(&waiting);
			waiting.interrupted = bsc__wait_unwanted(wait);
			bool over = wait->over && wait->over(wait->over_ctx);
			pthread_mutex_lock(&lock);
			if (over) {
				break;
			}
			if (waiting.interrupted) {
				rc = bsc__fail(err, BSC_CANCELLED, "%s: cancelled while it waited for a worker process", label);
			} else {
				wait_for_change();
			}
		}
	}
	pthread_mutex_unlock(&lock);
	bsc__waiting_end(&waiting);
	if (*out) {
		bsc__prints_label(*out, label);
	}
	return rc;
}

void bsc__pool_check_in(struct bsc__worker *worker)
{
	pthread_mutex_lock(&lock);
	if (!worker->foreign && worker->state == BSC__WORKER_BUSY && worker->ending) {
		set_state(worker, BSC__WORKER_QUITTING);
		bsc__pool_wake();
	} else if (!worker->foreign && worker->state == BSC__WORKER_BUSY) {
		set_state(worker, worker->closing ? BSC__WORKER_DRAINING : BSC__WORKER_IDLE);
		if (worker->closing) {
			bsc__pool_wake();
		} else if (worker->output < 0) {
			quit(worker);
		} else if (count_idle(worker) > n_warm) {
			bsc__pool_wake(); /* sooner than it thinks */
		}
	}
	pthread_mutex_unlock(&lock);
	bsc__worker_unref(worker);
}

void bsc__pool_park(struct bsc__worker *worker, bool parked)
{
	pthread_mutex_lock(&lock);
	worker->parked = parked;
	worker->parked_ms = bsc__now_ms();
	if (parked) {
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
}

void bsc__pool_discard(struct bsc__worker *worker)
{
	pthread_mutex_lock(&lock);
	if (!worker->foreign && worker->ending) {
		set_state(worker, BSC__WORKER_QUITTING);
		bsc__pool_wake();
	} else if (!worker->foreign) {
		die(worker);
	}
	pthread_mutex_unlock(&lock);
	bsc__worker_unref(worker);
}

void bsc__pool_drain(struct bsc__worker *worker)
{
	pthread_mutex_lock(&lock);
	if (!worker->foreign && worker->state == BSC__WORKER_BUSY) {
		set_state(worker, BSC__WORKER_DRAINING);
		worker->draining = worker->request;
		tell(worker, BSC__STOP, worker->request);
		bsc__pool_wake();
	}
	pthread_mutex_unlock(&lock);
	bsc__worker_unref(worker);
}

/* ---- instances ---- */

bool bsc__pool_has_instance(struct bsc__worker *worker, uint64_t instance)
{
	pthread_mutex_lock(&lock);
	bool found = knows(worker, instance);
	pthread_mutex_unlock(&lock);
	return found;
}

bool bsc__pool_add_instance(struct bsc__worker *worker, uint64_t instance)
{
	pthread_mutex_lock(&lock);
	bool there = knows(worker, instance);
	uint64_t *more = there ? NULL : bsc__resize(worker->instances, worker->n_instances + 1, sizeof(*more));
	if (more) {
		worker->instances = more;
		worker->instances[worker->n_instances++] = instance;
	}
	pthread_mutex_unlock(&lock);
	return there || more;
}

/* With lock held. */
static void close_instance(struct bsc__worker *worker, uint64_t instance)
{
	for (size_t i = 0; i < worker->n_instances; i++) {
		if (worker->instances[i] == instance) {
			worker->instances[i] = worker->instances[--worker->n_instances];
			worker->closing = instance;
			tell(worker, BSC__CLOSE, instance);
			if (worker->state == BSC__WORKER_IDLE) {
				set_state(worker, BSC__WORKER_DRAINING);
				bsc__pool_wake();
			}
			break;
		}
	}
}

void bsc__pool_drop_instance(struct bsc__worker *worker, uint64_t instance)
{
	pthread_mutex_lock(&lock);
	if (!worker->foreign) {
		close_instance(worker, instance);
	}
	pthread_mutex_unlock(&lock);
}

void bsc__pool_closed(struct bsc__worker *worker, uint64_t instance)
{
	pthread_mutex_lock(&lock);
	worker->closing = worker->closing == instance ? 0 : worker->closing;
	pthread_mutex_unlock(&lock);
}

void bsc__pool_close_instance(uint64_t instance)
{
	pthread_mutex_lock(&lock);
	for (struct bsc__worker *w = workers; w; w = w->next) {
		close_instance(w, instance);
	}
	pthread_mutex_unlock(&lock);
}

void bsc__pool_free_plan(struct bsc__worker *worker, uint64_t plan)
{
	pthread_mutex_lock(&lock);
	if (!worker->foreign) {
		tell(worker, BSC__FREE, plan);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- the end ---- */

int64_t bsc_process_worker_count(void)
{
	int64_t n = 0;
	pthread_mutex_lock(&lock);
	for (struct bsc__worker *w = workers; w; w = w->next) {
		n += !bsc__worker_reap(w, 0);
	}
	pthread_mutex_unlock(&lock);
	return n;
}

/* With lock held: all that were told to have ended. Others may have been started since. */
static bool all_ended(void)
{
	bool all = true;
	for (struct bsc__worker *w = workers; w; w = w->next) {
		all = (!w->ending || bsc__worker_reap(w, 0)) && all;
	}
	return all;
}

void bsc_process_end_workers(int timeout_ms)
{
	int64_t until = bsc__now_ms() + timeout_ms;
	bool killed = false;
	pthread_mutex_lock(&lock);
	n_warm = 0;
	for (struct bsc__worker *w = workers; w; w = w->next) {
		w->ending = true;
		if (w->state == BSC__WORKER_IDLE || w->state == BSC__WORKER_DRAINING) {
			quit(w);
		} else if (w->state == BSC__WORKER_BUSY) {
			/* Whoever has it sees its end, and takes no END for that of the rows. */
			tell(w, BSC__STOP, w->request);
			tell(w, BSC__QUIT, 0);
		} else if (w->state == BSC__WORKER_STARTING) {
			bsc__worker_signal(w, SIGKILL);
		}
	}
	while (!all_ended()) {
		if (!killed && bsc__now_ms() >= until) {
			killed = true;
			for (struct bsc__worker *w = workers; w; w = w->next) {
				if (w->ending) {
					bsc__worker_signal(w, SIGKILL);
				}
			}
		}
		bsc__pool_wake();
		wait_for_change();
	}
	for (struct bsc__worker *w = workers; w; w = w->next) {
		if (w->ending) {
			bsc__prints_take_last(w);
		}
	}
	pthread_mutex_unlock(&lock);
	bsc__prints_await(LAST_PRINTS_MS);
}
