/* Makes the n-th allocation fail. What it is linked into is linked so that malloc,
 * calloc, realloc, strdup and free of all its own code (the core's, nanoarrow's, the
 * mock's or the module's) arrive here; other libraries are left alone.
 *
 * Any thread may allocate; one arms and disarms. */
#ifndef FAULT_FAULTS_H
#define FAULT_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(default) /* the Python tests call them by name */

/* From now on allocations are counted, and number n (from 1) fails. */
void faults_arm(int64_t n);

/* Ends that. Returns how many were counted, the one that failed among them. */
int64_t faults_disarm(void);

/* An allocation that a mock stands for: true where it is the one to fail. */
bool faults_take(void);

/* Between the two, what is allocated is not counted: the mock's own affair. */
void faults_pause(void);
void faults_resume(void);

/* Blocks allocated and not yet freed, counted always. */
int64_t faults_live(void);

/* Return addresses on the stack of the one that failed last, innermost first, at
 * most `max`. Returns how many. */
int faults_frames(void **frames, int max);

/* For what allocates by another name: adds to the blocks that live. */
void *faults_counted(void *block);
void faults_freed(void *block);

#pragma GCC visibility pop

#endif
