/* Whether a file is the one that it was. Any thread. */
#include "common/file_mark.h"

#include <sys/stat.h>

struct file_mark file_mark(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return (struct file_mark){.size = -1};
    return (struct file_mark){about.st_dev, about.st_ino, about.st_size, about.st_mtim};
}

bool file_mark_same(const struct file_mark *a, const struct file_mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}
