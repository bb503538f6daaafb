/* hosting: what a Python process adds to the executor of worker processes: its
 * interpreter and sys.path, its classes that have no name elsewhere, its Ctrl-C. */
#ifndef BSC_HOSTING_H
#define BSC_HOSTING_H

/* Once, with the GIL, after inprocess_executor. -1: an exception is set. */
int hosting_init(void);

#endif
