/* Preloaded into a process, counts its calls that change the disk, and kills the process just before the n-th of a kind. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { FSYNC, RENAME, FTRUNCATE, UNLINK, WRITE, N_KINDS };
static const char *const names[N_KINDS] = {"fsync", "rename", "ftruncate", "unlink", "write"};
static long counted[N_KINDS], fatal[N_KINDS];

static int kind_of(const char *name) {
    for (int k = 0; k < N_KINDS; k++)
        if (!strcmp(names[k], name)) return k;
    return -1;
}

/* From now on, count anew; die before the n-th call of this kind (0: never). */
int kill_before(const char *name, long n) {
    memset(counted, 0, sizeof counted);
    memset(fatal, 0, sizeof fatal);
    int kind = kind_of(name);
    if (kind >= 0) fatal[kind] = n;
    return kind;
}

long calls_of(const char *name) {
    int kind = kind_of(name);
    return kind < 0 ? -1 : counted[kind];
}

static void called(int kind) {
    if (++counted[kind] == fatal[kind]) kill(getpid(), SIGKILL);
}

#define REPLACED(type, name, kind, parameters, arguments)                   \
    type name parameters {                                                  \
        static type(*original) parameters;                                  \
        if (!original) original = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
        called(kind);                                                       \
        return original arguments;                                          \
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
    if (!fstat(fd, &what) && S_ISREG(what.st_mode)) called(WRITE);
    return original(fd, data, n);
}
