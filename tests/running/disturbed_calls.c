/* Preloaded into a process, counts its calls that change the disk. Just before the n-th of a kind, it kills the process; or that call
   and all later ones of its kind fail. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { FSYNC, RENAME, FTRUNCATE, UNLINK, WRITE, N_KINDS };
static const char *const names[N_KINDS] = {"fsync", "rename", "ftruncate", "unlink", "write"};
static long counted[N_KINDS], disturbed[N_KINDS];
static int error; /* 0: kill */

static int kind_of(const char *name) {
    for (int k = 0; k < N_KINDS; k++)
        if (!strcmp(names[k], name)) return k;
    return -1;
}

/* From now on, count anew; disturb from the n-th call of this kind on (0: never), with this error (0: kill). */
int disturb(const char *name, long n, int with) {
    memset(counted, 0, sizeof counted);
    memset(disturbed, 0, sizeof disturbed);
    error = with;
    int kind = kind_of(name);
    if (kind >= 0) disturbed[kind] = n;
    return kind;
}

long calls_of(const char *name) {
    int kind = kind_of(name);
    return kind < 0 ? -1 : counted[kind];
}

static int fails(int kind) {
    if (++counted[kind] < disturbed[kind] || !disturbed[kind]) return 0;
    if (!error) kill(getpid(), SIGKILL);
    errno = error;
    return 1;
}

#define REPLACED(type, name, kind, parameters, arguments)                   \
    type name parameters {                                                  \
        static type(*original) parameters;                                  \
        if (!original) original = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
        return fails(kind) ? -1 : original arguments;                       \
    }

REPLACED(int, fsync, FSYNC, (int fd), (fd))
REPLACED(int, fdatasync, FSYNC, (int fd), (fd))
REPLACED(int, rename, RENAME, (const char *from, const char *to), (from, to))
REPLACED(int, renameat, RENAME, (int a, const char *from, int b, const char *to), (a, from, b, to))
REPLACED(int, ftruncate, FTRUNCATE, (int fd, off_t length), (fd, length))
REPLACED(int, ftruncate64, FTRUNCATE, (int fd, off64_t length), (fd, length))
REPLACED(int, unlink, UNLINK, (const char *path), (path))
REPLACED(int, unlinkat, UNLINK, (int fd, const char *path, int flags), (fd, path, flags))

/* Only what goes into files, not onto the screen. */
ssize_t write(int fd, const void *data, size_t n) {
    static ssize_t (*original)(int, const void *, size_t);
    struct stat what;
    if (!original) original = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (!fstat(fd, &what) && S_ISREG(what.st_mode) && fails(WRITE)) return -1;
    return original(fd, data, n);
}
