/* A fault at the n-th call by which a process changes what lies under a folder: loaded before libc (LD_PRELOAD).
 *
 * KILLAT_ROOT   the folder, as realpath has it
 * KILLAT_STATE  a file of two 64-bit counters that all processes share: the calls so far, and the faults
 * KILLAT_LOG    a file that gets a line a call: number, "!" where it met a fault, name, length, path, tabs between
 * KILLAT_CALLS  "changes", or "reads": the calls that read, in their place
 * KILLAT_AT     n; 0 counts alone
 * KILLAT_MODE   before, after: the process is killed there; torn: half of a write, then killed;
 *               once, sticky: the call fails, or it and all calls after it;
 *               power: the folder's file system (ext4, for root) forgets what was not synced and stops, then killed
 * KILLAT_ERRNO  what it fails with
 *
 * Out of its sight: what is linked statically, what calls the kernel itself, memory that is mapped, and stdio.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct { _Atomic uint64_t calls, faults; } *state;
static const char *root;
static size_t root_length;
static uint64_t at;
static int logged = -1, failure, reads, before, after, torn, sticky, power;

enum fate { PASS, FAIL, TEAR, KILL_AFTER };

__attribute__((constructor)) static void begin(void)
{
    root = getenv("KILLAT_ROOT");
    const char *file = getenv("KILLAT_STATE"), *log = getenv("KILLAT_LOG"), *mode = getenv("KILLAT_MODE");
    if (!root || !file || !log || !mode)
        return;
    root_length = strlen(root);
    at = strtoull(getenv("KILLAT_AT"), NULL, 10);
    failure = atoi(getenv("KILLAT_ERRNO"));
    reads = !strcmp(getenv("KILLAT_CALLS"), "reads");
    before = !strcmp(mode, "before");
    after = !strcmp(mode, "after");
    torn = !strcmp(mode, "torn");
    sticky = !strcmp(mode, "sticky");
    power = !strcmp(mode, "power");
    logged = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
    int fd = syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0);
    void *map = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (map == MAP_FAILED || logged < 0)
        abort();
    state = map;
}

static void die(void)
{
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define WITHOUT_THE_LOG 2

static void cut_power(void)
{
    uint32_t how = WITHOUT_THE_LOG;
    int fd = syscall(SYS_openat, AT_FDCWD, root, O_RDONLY | O_CLOEXEC, 0);
    if (ioctl(fd, EXT4_IOC_SHUTDOWN, &how))
        abort();
    die();
}

static int path_of(int fd, char *out)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, out, PATH_MAX - 1);
    out[length > 0 ? length : 0] = 0;
    return length > 0;
}

static int resolve(int dir, const char *path, char *out)
{
    if (path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
        return 1;
    }
    if (dir == AT_FDCWD ? !getcwd(out, PATH_MAX) : !path_of(dir, out))
        return 0;
    size_t length = strlen(out);
    snprintf(out + length, PATH_MAX - length, "/%s", path);
    return 1;
}

static int inside(const char *path)
{
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

/* Counts a call on a path under the folder, and says what becomes of it. */
static enum fate meet(const char *name, const char *path, size_t length)
{
    if (!inside(path))
        return PASS;
    uint64_t number = atomic_fetch_add(&state->calls, 1) + 1;
    int met = at && (sticky ? number >= at : number == at);
    char line[PATH_MAX + 128];
    int size = snprintf(line, sizeof line, "%lu\t%s\t%s\t%zu\t%s\n", number, met ? "!" : "", name, length, path);
    syscall(SYS_write, logged, line, size);
    if (!met)
        return PASS;
    atomic_fetch_add(&state->faults, 1);
    if (power)
        cut_power();
    if (before || (torn && length < 2))
        die();
    if (torn)
        return TEAR;
    if (after)
        return KILL_AFTER;
    errno = failure;
    return FAIL;
}

static enum fate meet_path(const char *name, int dir, const char *path)
{
    char whole[PATH_MAX];
    return state && !reads && path && resolve(dir, path, whole) ? meet(name, whole, 0) : PASS;
}

static enum fate meet_two(const char *name, int dir, const char *path, int other_dir, const char *other)
{
    char whole[PATH_MAX];
    if (state && path && resolve(dir, path, whole) && inside(whole))
        return meet_path(name, dir, path);
    return meet_path(name, other_dir, other);
}

static enum fate meet_fd(const char *name, int fd, size_t length, int reading)
{
    char whole[PATH_MAX];
    return state && reads == reading && path_of(fd, whole) ? meet(name, whole, length) : PASS;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Does the call as its fate has it; `half` is what is done of it where it is torn. */
#define DO(type, met, whole, half)             \
    do {                                       \
        enum fate fate_ = (met);               \
        if (fate_ == FAIL)                     \
            return -1;                         \
        if (fate_ == TEAR) {                   \
            (void)!(half);                     \
            die();                             \
        }                                      \
        type done_ = (whole);                  \
        if (fate_ == KILL_AFTER)               \
            die();                             \
        return done_;                          \
    } while (0)

#define ON_PATH(name, parameters, dir, path, ...)                      \
    int name parameters                                                \
    {                                                                  \
        DO(int, meet_path(#name, dir, path), REAL(name)(__VA_ARGS__), 0); \
    }
#define ON_TWO(name, parameters, dir, path, other_dir, other, ...)                       \
    int name parameters                                                                  \
    {                                                                                    \
        DO(int, meet_two(#name, dir, path, other_dir, other), REAL(name)(__VA_ARGS__), 0); \
    }
#define ON_FD(name, parameters, ...)                                   \
    int name parameters                                                \
    {                                                                  \
        DO(int, meet_fd(#name, fd, 0, 0), REAL(name)(__VA_ARGS__), 0); \
    }
#define ON_BYTES(name, parameters, length, reading, whole, half)                           \
    ssize_t name parameters                                                                \
    {                                                                                      \
        DO(ssize_t, meet_fd(#name, fd, length, reading), REAL(name) whole, REAL(name) half); \
    }

ON_PATH(unlink, (const char *path), AT_FDCWD, path, path)
ON_PATH(remove, (const char *path), AT_FDCWD, path, path)
ON_PATH(rmdir, (const char *path), AT_FDCWD, path, path)
ON_PATH(unlinkat, (int dir, const char *path, int flags), dir, path, dir, path, flags)
ON_PATH(mkdir, (const char *path, mode_t mode), AT_FDCWD, path, path, mode)
ON_PATH(mkdirat, (int dir, const char *path, mode_t mode), dir, path, dir, path, mode)
ON_PATH(chmod, (const char *path, mode_t mode), AT_FDCWD, path, path, mode)
ON_PATH(fchmodat, (int dir, const char *path, mode_t mode, int flags), dir, path, dir, path, mode, flags)
ON_PATH(truncate, (const char *path, off_t length), AT_FDCWD, path, path, length)
ON_PATH(truncate64, (const char *path, off64_t length), AT_FDCWD, path, path, length)
ON_PATH(symlink, (const char *to, const char *path), AT_FDCWD, path, to, path)
ON_PATH(symlinkat, (const char *to, int dir, const char *path), dir, path, to, dir, path)

ON_TWO(rename, (const char *from, const char *to), AT_FDCWD, from, AT_FDCWD, to, from, to)
ON_TWO(renameat, (int a, const char *from, int b, const char *to), a, from, b, to, a, from, b, to)
ON_TWO(renameat2, (int a, const char *from, int b, const char *to, unsigned how), a, from, b, to, a, from, b, to, how)
ON_TWO(link, (const char *from, const char *to), AT_FDCWD, from, AT_FDCWD, to, from, to)
ON_TWO(linkat, (int a, const char *from, int b, const char *to, int how), a, from, b, to, a, from, b, to, how)

ON_FD(fsync, (int fd), fd)
ON_FD(fdatasync, (int fd), fd)
ON_FD(ftruncate, (int fd, off_t length), fd, length)
ON_FD(ftruncate64, (int fd, off64_t length), fd, length)
ON_FD(fallocate, (int fd, int mode, off_t from, off_t length), fd, mode, from, length)
ON_FD(fallocate64, (int fd, int mode, off64_t from, off64_t length), fd, mode, from, length)
ON_FD(fchmod, (int fd, mode_t mode), fd, mode)

ON_BYTES(write, (int fd, const void *from, size_t n), n, 0, (fd, from, n), (fd, from, n / 2))
ON_BYTES(pwrite, (int fd, const void *from, size_t n, off_t place), n, 0, (fd, from, n, place), (fd, from, n / 2, place))
ON_BYTES(pwrite64, (int fd, const void *from, size_t n, off64_t place), n, 0, (fd, from, n, place),
         (fd, from, n / 2, place))
ON_BYTES(writev, (int fd, const struct iovec *from, int n), n, 0, (fd, from, n), (fd, from, n / 2))
ON_BYTES(pwritev, (int fd, const struct iovec *from, int n, off_t place), n, 0, (fd, from, n, place),
         (fd, from, n / 2, place))
ON_BYTES(read, (int fd, void *to, size_t n), n, 1, (fd, to, n), (fd, to, n / 2))
ON_BYTES(pread, (int fd, void *to, size_t n, off_t place), n, 1, (fd, to, n, place), (fd, to, n / 2, place))
ON_BYTES(pread64, (int fd, void *to, size_t n, off64_t place), n, 1, (fd, to, n, place), (fd, to, n / 2, place))

static size_t bytes_of(int fd, size_t most)
{
    struct stat found;
    return !fstat(fd, &found) && (size_t)found.st_size < most ? (size_t)found.st_size : most;
}

ON_BYTES(sendfile, (int fd, int from, off_t *place, size_t n), bytes_of(from, n), 0, (fd, from, place, n),
         (fd, from, place, bytes_of(from, n) / 2))
ON_BYTES(sendfile64, (int fd, int from, off64_t *place, size_t n), bytes_of(from, n), 0, (fd, from, place, n),
         (fd, from, place, bytes_of(from, n) / 2))

ssize_t copy_file_range(int from, off64_t *from_place, int fd, off64_t *place, size_t n, unsigned flags)
{
    DO(ssize_t, meet_fd("copy_file_range", fd, bytes_of(from, n), 0),
       REAL(copy_file_range)(from, from_place, fd, place, n, flags),
       REAL(copy_file_range)(from, from_place, fd, place, bytes_of(from, n) / 2, flags));
}

/* It returns its error, and leaves errno alone. */
#define ALLOCATE(name, kind)                                   \
    int name(int fd, kind from, kind length)                   \
    {                                                          \
        enum fate fate = meet_fd(#name, fd, 0, 0);             \
        if (fate == FAIL)                                      \
            return failure;                                    \
        DO(int, fate, REAL(name)(fd, from, length), 0);        \
    }
ALLOCATE(posix_fallocate, off_t)
ALLOCATE(posix_fallocate64, off64_t)

static mode_t mode_of(int flags, va_list more)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

#define OPEN(name, parameters, dir, ...)                                                                     \
    int name parameters                                                                                      \
    {                                                                                                        \
        va_list more;                                                                                        \
        va_start(more, flags);                                                                               \
        mode_t mode = mode_of(flags, more);                                                                  \
        va_end(more);                                                                                        \
        enum fate fate = flags & (O_CREAT | O_TRUNC | __O_TMPFILE) ? meet_path(#name, dir, path) : PASS;     \
        DO(int, fate, REAL(name)(__VA_ARGS__, mode), 0);                                                     \
    }
OPEN(open, (const char *path, int flags, ...), AT_FDCWD, path, flags)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD, path, flags)
OPEN(openat, (int dir, const char *path, int flags, ...), dir, dir, path, flags)
OPEN(openat64, (int dir, const char *path, int flags, ...), dir, dir, path, flags)
ON_PATH(creat, (const char *path, mode_t mode), AT_FDCWD, path, path, mode)
ON_PATH(creat64, (const char *path, mode_t mode), AT_FDCWD, path, path, mode)
