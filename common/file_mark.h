#ifndef IMPCERT_COMMON_FILE_MARK_H
#define IMPCERT_COMMON_FILE_MARK_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

/* A file's state, by which a change is noticed: of its content, or another file by that name. Thread: any. */
struct file_mark {
    dev_t device;
    ino_t inode;
    off_t size; /* -1: the file can't be looked at */
    struct timespec modified;
};

/* Of the file that the path leads to now. */
struct file_mark file_mark(const char *path);
bool file_mark_same(const struct file_mark *a, const struct file_mark *b);

#endif
