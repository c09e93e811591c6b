/* What both load generators need: errors, clocks, options, and the server as the kernel sees it.
 *
 * Included once, behind the system's headers; PROGRAM is the name that errors begin with. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs(PROGRAM ": ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static inline void *must(void *memory)
{
    if (!memory)
        die("out of memory");
    return memory;
}

static inline double clock_s(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Reads a file of /proc/PID. */
static inline void read_proc(int pid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    FILE *file = fopen(path, "r");
    if (!file)
        die("the server (pid %d) is not running", pid);
    text[fread(text, 1, size - 1, file)] = 0;
    fclose(file);
}

static inline double cpu_of_s(int pid)
{
    char text[1024];
    read_proc(pid, "stat", text, sizeof text);
    /* The name in brackets may hold spaces; utime and stime are fields 14 and 15. */
    char *p = strrchr(text, ')');
    unsigned long user, kernel;
    if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        die("/proc/%d/stat: not understood", pid);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

/* The number of an option. */
static inline double number(const char *name, const char *text, double least)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= least))
        die("--%s: a number of at least %g, please", name, least);
    return value;
}
