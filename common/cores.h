#ifndef IMPCERT_COMMON_CORES_H
#define IMPCERT_COMMON_CORES_H

/* How many cores the process may use: its affinity, and the CPU quota of its control groups (a container's
 * limit). Thread: any. */

/* Never less than 1. */
unsigned cores_usable(void);

/* The quota of the groups that the file proc_cgroup lists, under root (/sys/fs/cgroup), in whole cores
 * rounded up; 0 where there is none. Apart from cores_usable for the sake of its test. */
unsigned cores_quota(const char *root, const char *proc_cgroup);

#endif
