/* The bare limit: what epoll and send alone deliver of the same frames.
 *
 * Ticks go round-robin over the codes. Each flush joins the frames of its ticks once;
 * clients that want all codes are sent those same bytes, the others a copy of the frames
 * they want, with one send() each. No JSON is parsed beyond looking for codes, no
 * heartbeat answered, and Sec-WebSocket-Accept is a constant: the load generator does not
 * check it, a real client would refuse it.
 *
 * Prints its port as the first line; ends on SIGTERM or when its standard input closes. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    MAX_FRAME = 256,
    MAX_BATCH = 8192,
    STAMP_DIGITS = 13, /* microseconds of 115 days: frames keep their length over a reboot */
    MAX_UNSENT = MAX_BATCH * MAX_FRAME, /* bytes per client */
};

struct client {
    int fd, index;
    bool open, subscribed, wants_all;
    uint64_t *wants; /* one bit a code */
    char *in;        /* the request or a frame that is not complete yet */
    size_t in_len, in_size;
    char *unsent;
    size_t unsent_from, unsent_to, unsent_size;
};

struct frame {
    unsigned char bytes[MAX_FRAME];
    size_t len, stamp_at;
};

static int codes = 100, batch = 2048, epoll_fd, listener, timer = -1;
static double rate;
static struct client **clients;
static int client_count, client_size, subscribed, blocked;
static struct frame *frames; /* one prepared frame a code */
static int next_code;
static char *joined, *own;
static struct { int code; size_t at, len; } *ticks;
static volatile sig_atomic_t stopped;

static void die(const char *what)
{
    fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *grow(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (!memory)
        die("memory");
    return memory;
}

static void watch(int fd, void *who, uint32_t events)
{
    struct epoll_event want = {.events = events, .data.ptr = who};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &want))
        die("epoll");
}

static void prepare_frames(void)
{
    frames = grow(NULL, (size_t)codes * sizeof *frames);
    for (int i = 0; i < codes; i++) {
        char text[MAX_FRAME];
        int len = snprintf(text, sizeof text,
                           "{\"cmd_id\":22998,\"data\":{\"code\":\"C%03d\",\"seq\":1788530574453,"
                           "\"tick_time\":1788530573000,\"price\":\"4415.320000\",\"volume\":\"%0*d\","
                           "\"turnover\":\"35322.560000\",\"trade_direction\":1}}",
                           i, STAMP_DIGITS, 0);
        struct frame *f = &frames[i];
        f->bytes[0] = 0x81;
        f->bytes[1] = 126;
        f->bytes[2] = (unsigned char)(len >> 8);
        f->bytes[3] = (unsigned char)len;
        memcpy(f->bytes + 4, text, (size_t)len);
        f->len = 4 + (size_t)len;
        f->stamp_at = 4 + (size_t)(strstr(text, "\"volume\":\"") - text) + 10;
    }
}

/* ---- out ---- */

static void drop(struct client *c)
{
    close(c->fd);
    subscribed -= c->subscribed;
    blocked -= c->unsent_to > 0;
    clients[c->index] = clients[--client_count];
    clients[c->index]->index = c->index;
    free(c->wants);
    free(c->in);
    free(c->unsent);
    free(c);
}

/* Returns the bytes taken, or -1 when the connection is gone. */
static ssize_t offer(struct client *c, const char *p, size_t len)
{
    ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

/* What a client has not taken waits here, up to a bound: at a fixed rate it may fall behind. */
static bool keep(struct client *c, const char *p, size_t len)
{
    if (c->unsent_to - c->unsent_from + len > MAX_UNSENT)
        return false;
    if (c->unsent_from && c->unsent_to + len > c->unsent_size) {
        memmove(c->unsent, c->unsent + c->unsent_from, c->unsent_to - c->unsent_from);
        c->unsent_to -= c->unsent_from;
        c->unsent_from = 0;
    }
    if (c->unsent_to + len > c->unsent_size)
        c->unsent = grow(c->unsent, c->unsent_size = 2 * (c->unsent_to + len));
    blocked += c->unsent_to == 0;
    memcpy(c->unsent + c->unsent_to, p, len);
    c->unsent_to += len;
    return true;
}

static bool push(struct client *c, const char *p, size_t len)
{
    ssize_t n = 0;
    if (c->unsent_to == 0 && (n = offer(c, p, len)) < 0)
        return false;
    return (size_t)n == len || keep(c, p + n, len - (size_t)n);
}

static bool writable(struct client *c)
{
    while (c->unsent_to) {
        ssize_t n = offer(c, c->unsent + c->unsent_from, c->unsent_to - c->unsent_from);
        if (n <= 0)
            return n == 0;
        c->unsent_from += (size_t)n;
        if (c->unsent_from == c->unsent_to) {
            c->unsent_from = c->unsent_to = 0;
            blocked--;
        }
    }
    return true;
}

static size_t make_ticks(int count)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
    char stamp[STAMP_DIGITS];
    for (int i = STAMP_DIGITS; i--; us /= 10)
        stamp[i] = (char)('0' + us % 10);
    size_t len = 0;
    for (int i = 0; i < count; i++) {
        struct frame *f = &frames[next_code];
        memcpy(joined + len, f->bytes, f->len);
        memcpy(joined + len + f->stamp_at, stamp, sizeof stamp);
        ticks[i].code = next_code;
        ticks[i].at = len;
        ticks[i].len = f->len;
        len += f->len;
        next_code = (next_code + 1) % codes;
    }
    return len;
}

static void flush(int count)
{
    size_t all = make_ticks(count);
    for (int i = client_count; i--;) { /* backwards: drop() fills the gap from the end */
        struct client *c = clients[i];
        const char *p = joined;
        size_t len = all;
        if (!c->subscribed)
            continue;
        if (!c->wants_all) {
            len = 0;
            for (int k = 0; k < count; k++) {
                if (c->wants[ticks[k].code / 64] >> (ticks[k].code % 64) & 1) {
                    memcpy(own + len, joined + ticks[k].at, ticks[k].len);
                    len += ticks[k].len;
                }
            }
            p = own;
        }
        if (len && !push(c, p, len))
            drop(c);
    }
}

/* ---- in ---- */

static void accept_clients(void)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        int yes = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct client *c = grow(NULL, sizeof *c);
        *c = (struct client){.fd = fd, .index = client_count};
        c->wants = grow(NULL, ((size_t)codes / 64 + 1) * 8);
        memset(c->wants, 0, ((size_t)codes / 64 + 1) * 8);
        if (client_count == client_size)
            clients = grow(clients, (size_t)(client_size = client_size * 2 + 64) * sizeof(struct client *));
        clients[client_count++] = c;
        watch(fd, c, EPOLLIN | EPOLLOUT | EPOLLET);
    }
}

static void subscribe(struct client *c, const char *text, size_t len)
{
    static const char name[] = "\"code\":\"C";
    int wanted = 0;
    const char *p = text, *end = text + len;
    while ((p = memmem(p, (size_t)(end - p), name, sizeof name - 1))) {
        int code = atoi(p += sizeof name - 1); /* stops at the closing quote */
        if (code < codes)
            c->wants[code / 64] |= (uint64_t)1 << (code % 64);
    }
    for (int i = 0; i < codes; i++)
        wanted += (int)(c->wants[i / 64] >> (i % 64) & 1);
    c->wants_all = wanted == codes;
    subscribed += !c->subscribed;
    c->subscribed = true;
}

/* Returns the bytes used up, 0 while there is no complete frame. */
static size_t take_frame(struct client *c, unsigned char *p, size_t len)
{
    if (len < 2)
        return 0;
    size_t size = p[1] & 0x7f, head = size == 126 ? 4 : size == 127 ? 10 : 2;
    if (len < head + 4)
        return 0;
    if (head > 2) {
        size = 0;
        for (size_t i = 2; i < head; i++)
            size = size << 8 | p[i];
    }
    unsigned char *key = p + head, *payload = key + 4;
    if (len - head - 4 < size)
        return 0;
    for (size_t i = 0; i < size; i++)
        payload[i] ^= key[i % 4];
    if (memmem(payload, size < 64 ? size : 64, "22004", 5))
        subscribe(c, (char *)payload, size);
    return head + 4 + size;
}

static size_t take_request(struct client *c)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                 "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    c->open = true;
    push(c, answer, sizeof answer - 1);
    return (size_t)(end + 4 - c->in);
}

static bool readable(struct client *c)
{
    for (;;) { /* edge-triggered: until there is nothing left */
        if (c->in_size - c->in_len < 1024)
            c->in = grow(c->in, c->in_size = c->in_size * 2 + 4096);
        ssize_t n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len, 0);
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        c->in_len += (size_t)n;
        size_t used = 0, step;
        do {
            step = c->open ? take_frame(c, (unsigned char *)c->in + used, c->in_len - used) : take_request(c);
            used += step;
        } while (step);
        memmove(c->in, c->in + used, c->in_len -= used);
    }
}

/* ---- the loop ---- */

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static void listen_anywhere(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&here, size) || listen(listener, 1024) ||
        getsockname(listener, (struct sockaddr *)&here, &size))
        die("listen");
    watch(listener, &listener, EPOLLIN);
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
}

static void start_timer(void)
{
    uint64_t ns = (uint64_t)(1e9 / rate);
    struct timespec step = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    struct itimerspec when = {.it_interval = step, .it_value = step};
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (timer < 0 || timerfd_settime(timer, 0, &when, NULL))
        die("timer");
    watch(timer, &timer, EPOLLIN);
}

static void serve(void)
{
    static char stdin_mark;
    struct epoll_event events[EVENTS];
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = &stdin_mark};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &input); /* refused for a file or /dev/null, which never close */
    while (!stopped) {
        bool saturated_turn = rate == 0 && subscribed && !blocked;
        int n = epoll_wait(epoll_fd, events, EVENTS, saturated_turn ? 0 : -1);
        uint64_t due = 0;
        for (int i = 0; i < n; i++) {
            void *who = events[i].data.ptr;
            char waste[256];
            if (who == &listener) {
                accept_clients();
            } else if (who == &timer) {
                if (read(timer, &due, sizeof due) < 0)
                    due = 0;
            } else if (who == &stdin_mark) {
                stopped = read(0, waste, sizeof waste) <= 0;
            } else if (!readable(who) || !writable(who)) {
                drop(who);
            }
        }
        /* Flushes come after the events: they may drop a client that still has one here. */
        for (; due; due -= due < (uint64_t)batch ? due : (uint64_t)batch)
            flush(due < (uint64_t)batch ? (int)due : batch);
        if (rate == 0 && subscribed && !blocked)
            flush(batch);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"codes", 1, 0, 'c'}, {"rate", 1, 0, 'r'}, {"batch", 1, 0, 'b'}, {0}};
    int which;
    while ((which = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (which) {
        case 'c': codes = atoi(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'b': batch = atoi(optarg); break;
        default: return 1; /* getopt has said why */
        }
    }
    if (codes < 1 || batch < 1 || batch > MAX_BATCH || rate < 0 || rate > 1e6) {
        fprintf(stderr, "limit: --codes from 1, --rate from 0 to 1000000, --batch from 1 to %d\n", MAX_BATCH);
        return 1;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct sigaction on_stop = {.sa_handler = stop};
    sigaction(SIGTERM, &on_stop, NULL);
    epoll_fd = epoll_create1(0);
    prepare_frames();
    joined = grow(NULL, (size_t)batch * MAX_FRAME);
    own = grow(NULL, (size_t)batch * MAX_FRAME);
    ticks = grow(NULL, (size_t)batch * sizeof *ticks);
    listen_anywhere();
    if (rate > 0)
        start_timer();
    serve();
    return 0;
}
