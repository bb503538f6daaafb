/* Makes the n-th allocation fail. The executable is linked so that malloc, calloc,
 * realloc and free of all its own code (the core's, nanoarrow's, the mock's)
 * arrive here; libc's own are left alone. One thread. */
#ifndef FAULT_FAULTS_H
#define FAULT_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

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

#endif
