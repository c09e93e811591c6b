/* Load generator for HTTP/1.1: keeps connections to 127.0.0.1 open and asks the same
 * question on each, the next time as soon as the answer is there.
 *
 * One thread, one epoll loop. Every read goes into one shared buffer; a connection keeps
 * only the bytes of the body still to come, and the start of a head that was cut. Any
 * answer but 200 ends the run; a connection that the server closes counts as an error and
 * is not opened again. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROGRAM "http_load"
#include "common.h"

enum {
    READ_SIZE = 256 * 1024,
    HEAD = 4096, /* the longest head of an answer */
    EVENTS = 256,
};

struct conn {
    int fd; /* -1 once lost */
    bool in_body;
    uint64_t left; /* bytes of the body still to come */
    uint64_t asked_us;
    size_t head_len;
    char head[HEAD];
};

static struct {
    int port, connections, server_pid;
    double warmup, seconds;
    const char *path;
} opt = {.connections = 64, .warmup = 2, .seconds = 5};

static int epoll_fd, alive;
static struct conn *conns;
static char *request;
static size_t request_len;
static uint64_t bytes, errors;
static uint32_t *latencies_us;
static size_t answers, room;

static void lost(struct conn *c, const char *why)
{
    close(c->fd);
    c->fd = -1;
    errors++;
    if (--alive == 0)
        die("the server closed all %d connections (the last: %s)", opt.connections, why);
}

static void ask(struct conn *c)
{
    c->asked_us = now_us();
    ssize_t n = send(c->fd, request, request_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        lost(c, strerror(errno));
    else if ((size_t)n != request_len)
        die("the request of %zu bytes does not fit into the socket", request_len);
}

static void answered(struct conn *c)
{
    if (answers == room) {
        room = room ? 2 * room : 1 << 16;
        latencies_us = must(realloc(latencies_us, room * sizeof *latencies_us));
    }
    latencies_us[answers++] = (uint32_t)(now_us() - c->asked_us);
    c->in_body = false;
    c->head_len = 0;
    ask(c);
}

/* Takes the head that begins at p and returns where the body does; NULL while it is incomplete. */
static const char *take_head(struct conn *c, const char *p, const char *end)
{
    const char *line = memmem(p, (size_t)(end - p), "\r\n", 2);
    const char *body = memmem(p, (size_t)(end - p), "\r\n\r\n", 4);
    if (!body) {
        if ((size_t)(end - p) > HEAD)
            die("an answer began with more than %d bytes of headers", HEAD);
        return NULL;
    }
    if (line - p < 12 || memcmp(p, "HTTP/1.1 ", 9) || memcmp(p + 9, "200", 3))
        die("the server answered: %.*s", (int)(line - p), p);
    static const char name[] = "\r\ncontent-length:";
    for (; line < body; line = memmem(line + 2, (size_t)(body + 2 - line), "\r\n", 2))
        if (!strncasecmp(line, name, sizeof name - 1)) {
            c->left = strtoull(line + sizeof name - 1, NULL, 10);
            c->in_body = true;
            return body + 4;
        }
    die("an answer has no Content-Length");
}

static void readable(struct conn *c)
{
    static char buffer[HEAD + READ_SIZE];
    /* What was left over of a head goes right before what comes in. */
    char *fresh = buffer + HEAD;
    const char *p = fresh - c->head_len;
    ssize_t n = recv(c->fd, fresh, READ_SIZE, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            lost(c, n ? strerror(errno) : "connection closed by the server");
        return;
    }
    bytes += (uint64_t)n;
    const char *end = fresh + n;
    memcpy(fresh - c->head_len, c->head, c->head_len);
    if (!c->in_body) {
        const char *body = take_head(c, p, end);
        if (!body) {
            c->head_len = (size_t)(end - p);
            memcpy(c->head, p, c->head_len);
            return;
        }
        p = body;
        c->head_len = 0;
    }
    if ((uint64_t)(end - p) > c->left)
        die("the server sent more than was asked for");
    c->left -= (uint64_t)(end - p);
    if (!c->left)
        answered(c);
}

static void run_for(double seconds)
{
    struct epoll_event events[EVENTS];
    double end = clock_s(CLOCK_MONOTONIC) + seconds;
    while (clock_s(CLOCK_MONOTONIC) < end) {
        int n = epoll_wait(epoll_fd, events, EVENTS, 20);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (c->fd >= 0)
                readable(c);
        }
    }
}

static void set_up(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    epoll_fd = epoll_create1(0);
    conns = must(calloc((size_t)opt.connections, sizeof *conns));
    int len = asprintf(&request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", opt.path, opt.port);
    if (len < 0)
        die("out of memory");
    request_len = (size_t)len;
    for (int i = 0; i < opt.connections; i++) {
        struct conn *c = &conns[i];
        int yes = 1;
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (c->fd < 0)
            die("connection %d: %s", i + 1, strerror(errno));
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        if (connect(c->fd, (struct sockaddr *)&to, sizeof to))
            die("127.0.0.1:%d: %s", opt.port, strerror(errno));
        struct epoll_event want = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &want))
            die("epoll: %s", strerror(errno));
    }
    alive = opt.connections;
    for (int i = 0; i < opt.connections; i++)
        ask(&conns[i]);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile_ms(double share)
{
    return latencies_us[(size_t)(share * (double)(answers - 1))] / 1000.0;
}

static void measure(void)
{
    set_up();
    run_for(opt.warmup);
    bytes = errors = answers = 0;
    double cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID), server = opt.server_pid ? cpu_of_s(opt.server_pid) : 0;
    double start = clock_s(CLOCK_MONOTONIC);
    run_for(opt.seconds);
    double wall = clock_s(CLOCK_MONOTONIC) - start;
    cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (!answers)
        die("no answer came in %.1f s", wall);
    qsort(latencies_us, answers, sizeof *latencies_us, by_size);
    printf("{\"requests_per_s\": %.1f, \"bytes_per_s\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, ",
           (double)answers / wall, (double)bytes / wall, percentile_ms(.5), percentile_ms(.99));
    if (opt.server_pid)
        printf("\"server_cpu\": %.3f, ", (cpu_of_s(opt.server_pid) - server) / wall);
    else
        printf("\"server_cpu\": null, ");
    printf("\"load_cpu\": %.3f, \"errors\": %" PRIu64 "}\n", cpu / wall, errors);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", 1, 0, 'p'},    {"connections", 1, 0, 'n'}, {"warmup", 1, 0, 'w'},
        {"seconds", 1, 0, 's'}, {"server-pid", 1, 0, 'P'},  {"path", 1, 0, 'u'},
        {0},
    };
    int which, i;
    while ((which = getopt_long(argc, argv, "", options, &i)) != -1) {
        const char *name = which == '?' ? "" : options[i].name;
        switch (which) {
        case 'p': opt.port = (int)number(name, optarg, 1); break;
        case 'n': opt.connections = (int)number(name, optarg, 1); break;
        case 'w': opt.warmup = number(name, optarg, 0); break;
        case 's': opt.seconds = number(name, optarg, 0.1); break;
        case 'P': opt.server_pid = (int)number(name, optarg, 1); break;
        case 'u': opt.path = optarg; break;
        default: return 1; /* getopt has said why */
        }
    }
    if (!opt.port || opt.port > 65535)
        die("--port is needed");
    if (!opt.path || *opt.path != '/')
        die("--path is needed, and begins with /");
    measure();
    return 0;
}
