/* Load generator: opens many WebSocket connections to 127.0.0.1, subscribes, and
 * measures what the server pushes.
 *
 * One thread, one epoll loop. Every read goes into one shared buffer; a connection
 * keeps only the payload bytes still to skip and the few bytes of a frame whose start
 * was cut, so that a frame costs a look at its header and nothing else.
 *
 * Latency: a push carries the time it was made (CLOCK_MONOTONIC, microseconds) as its
 * "volume". Every 61st push, counted over all connections, is compared with the clock
 * (or the next one that lies whole in the buffer). 61 is prime, so the sample does not
 * fall into step with the number of codes or of connections, and every frame of a batch
 * is as likely to be taken as any other. max_ms is the maximum of the sample.
 *
 * With --churn every connection is closed as soon as its subscription is answered, and the
 * next one opened in its place; what counts is how many a second there were.
 *
 * With --protocol=centrifugo it speaks to Centrifugo, which sends its pushes as lines, several to a frame.
 *
 * With --deflate it offers permessage-deflate, and counts what is compressed as pushes, unread.
 *
 * With --stall, so many of the connections name slow=conflate, subscribe, and read nothing from then on.
 *
 * With --server-pid once for each process of the server, its CPU and memory are those of all of them.
 *
 * Compiled with -DTLS, and OpenSSL, it speaks TLS and trusts whoever is there. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROGRAM "load"
#define DEFLATE "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
#include "common.h"
#include "histogram.h"
#include "link.h"
#include "protocols.h"

enum {
    TAIL = 2048,            /* the answer to the handshake, or the start of a frame */
    PEEK = 64,              /* bytes of a payload that decide whether it is a push */
    UNDER_WAY = 200,        /* handshakes at a time, to spare the server's backlog */
    EVENTS = 256,
    SAMPLE_EVERY = 61,
    SETUP_SECONDS = 120,
    STALLED_BUFFER = 4096, /* bytes that the system takes for one that reads nothing */
    HEARTBEAT_SECONDS = 10,
    MOST_PROCESSES = 16,
};

struct conn {
    struct link link;
    enum { CONNECTING, GREETING, UPGRADING, OPEN } phase;
    bool answered; /* a text frame has come */
    bool pushes;   /* the current frame holds pushes */
    uint64_t skip; /* payload bytes of it still to come */
    size_t tail_len;
    unsigned char tail[TAIL];
};

static struct {
    int port, connections, codes, pick, stall;
    double warmup, seconds;
    int server_pids[MOST_PROCESSES], processes; /* of the server */
    bool idle, churn, deflate;
    uint64_t seed;
    const struct protocol *protocol;
    const char *path;
} opt = {.connections = 1000, .codes = 100, .warmup = 2, .seconds = 5, .seed = 1,
         .protocol = protocols};

static int epoll_fd;
static struct conn *conns;
static int started, up, closed;
static uint64_t served; /* connections of --churn */
static uint64_t frames, bytes, next_sample;
static char *request, *stalled_request;
static unsigned char *shared_subscription; /* when all connections want the same codes */
static size_t shared_subscription_len;
static int *deck; /* the codes, shuffled a little further for every connection */

static uint64_t next_random(void) /* splitmix64 */
{
    uint64_t z = (opt.seed += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static uint64_t server_rss(void)
{
    char text[4096];
    uint64_t kib, sum = 0;
    for (int i = 0; i < opt.processes; i++, sum += kib * 1024) {
        read_proc(opt.server_pids[i], "status", text, sizeof text);
        char *p = strstr(text, "VmRSS:");
        if (!p || sscanf(p, "VmRSS: %" SCNu64, &kib) != 1)
            die("the server (pid %d) is not running", opt.server_pids[i]);
    }
    return sum;
}

static double server_cpu_s(void)
{
    double sum = 0;
    for (int i = 0; i < opt.processes; i++)
        sum += cpu_of_s(opt.server_pids[i]);
    return sum;
}

static void lost(struct conn *c, const char *why)
{
    if (c->phase != OPEN || opt.churn)
        die("127.0.0.1:%d: %s during the handshake", opt.port, why);
    close(c->link.fd);
    c->link.fd = -1;
    if (++closed == opt.connections)
        die("the server closed all %d connections (the last: %s)", closed, why);
}

static void send_all(struct conn *c, const void *data, size_t len)
{
    const char *p = data;
    while (len) {
        ssize_t n = put_out(&c->link, p, len);
        if (n >= 0) {
            p += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = c->link.fd, .events = waits_for(&c->link)};
            if (poll(&wait, 1, 10000) == 0)
                die("the server does not read");
        } else if (errno != EINTR) {
            lost(c, strerror(errno));
            return;
        }
    }
}

static void subscribe(struct conn *c)
{
    if (opt.idle)
        return;
    if (shared_subscription) {
        send_all(c, shared_subscription, shared_subscription_len);
        return;
    }
    for (int i = 0; i < opt.pick; i++) {
        int j = i + (int)(next_random() % (uint64_t)(opt.codes - i)), code = deck[i];
        deck[i] = deck[j];
        deck[j] = code;
    }
    size_t len;
    unsigned char *frame = subscription(opt.protocol, deck, opt.pick, &len);
    send_all(c, frame, len);
    free(frame);
}

/* Spreads the heartbeats over the interval, instead of one burst from all connections. */
static void heartbeats(double elapsed)
{
    if (opt.churn || !opt.protocol->heartbeats)
        return;
    static const char text[] = "{\"cmd_id\":22000,\"seq_id\":2,\"trace\":\"\",\"data\":{}}";
    static unsigned char frame[sizeof text + 14];
    static size_t len;
    static uint64_t sent;
    if (!len)
        len = mask_frame(frame, 1, (const unsigned char *)text, sizeof text - 1);
    uint64_t due = (uint64_t)(elapsed / HEARTBEAT_SECONDS * opt.connections);
    for (; sent < due; sent++) {
        struct conn *c = &conns[sent % (uint64_t)opt.connections];
        if (c->phase == OPEN && c->link.fd >= 0)
            send_all(c, frame, len);
    }
}

/* ---- frames in ---- */

static bool is_push(const unsigned char *payload, size_t len)
{
    static const char start[] = "{\"cmd_id\":22998";
    if (len >= sizeof start - 1 && !memcmp(payload, start, sizeof start - 1))
        return true;
    return memmem(payload, len < PEEK ? len : PEEK, start + 1, sizeof start - 2) != NULL;
}

/* Takes the first push behind `begin`. */
static void sample(const unsigned char *begin, const unsigned char *end)
{
    static const char name[] = "\"volume\":\"";
    const unsigned char *p = memmem(begin, (size_t)(end - begin), name, sizeof name - 1);
    if (!p)
        return;
    uint64_t stamp = 0, now = now_us();
    for (p += sizeof name - 1; p < end && *p >= '0' && *p <= '9'; p++)
        stamp = stamp * 10 + (uint64_t)(*p - '0');
    if (p < end && *p == '"' && stamp <= now)
        record(now - stamp);
    next_sample = frames + SAMPLE_EVERY;
}

/* Counts the further lines of a frame of pushes, and takes a sample when its turn has come. */
static void count_lines(const unsigned char *p, const unsigned char *end)
{
    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        p++;
        if (++frames >= next_sample)
            sample(p, end);
    }
}

/* Takes what it can from p..end and returns where it stopped; the rest, at most a header
 * with PEEK bytes or a control frame, is the start of a frame to be looked at again. */
static const unsigned char *take_frames(struct conn *c, const unsigned char *p, const unsigned char *end)
{
    if (c->skip) {
        size_t n = c->skip < (size_t)(end - p) ? (size_t)c->skip : (size_t)(end - p);
        if (c->pushes && opt.protocol->lines)
            count_lines(p, p + n);
        c->skip -= n;
        p += n;
    }
    while (end - p >= 2) {
        uint64_t len = p[1];
        ptrdiff_t head = len == 126 ? 4 : len == 127 ? 10 : 2;
        if (p[0] != 0x81 && !(opt.deflate && p[0] == 0xc1) && (p[0] & 0x7f) > 2 && (p[0] < 0x88 || p[0] > 0x8a))
            die("the server sent no WebSocket frame (first byte 0x%02x)", p[0]);
        if (len > 127)
            die("the server sent a masked frame");
        if (end - p < head)
            break;
        if (head > 2) {
            len = 0;
            for (int i = 2; i < head; i++)
                len = len << 8 | p[i];
        }
        const unsigned char *payload = p + head;
        size_t here = (size_t)(end - payload);
        if (p[0] == 0xc1) {
            frames++;
        } else if ((p[0] & 0x0f) == 1) { /* text, or the first fragment of one */
            if (here < len && here < PEEK)
                break;
            c->answered = true;
            if ((c->pushes = is_push(payload, len))) {
                frames++;
                if (frames >= next_sample && here >= len)
                    sample(payload, payload + len);
                if (opt.protocol->lines)
                    count_lines(payload, here < len ? end : payload + len);
            }
        } else if (p[0] >= 0x88) {
            if (len > 125)
                die("the server sent a control frame of %" PRIu64 " bytes", len);
            if (here < len)
                break;
            if (p[0] == 0x89) { /* ping */
                unsigned char pong[125 + 14];
                send_all(c, pong, mask_frame(pong, 10, payload, len));
                if (c->link.fd < 0)
                    return end;
            }
        }
        if (here < len) {
            c->skip = len - here;
            return end;
        }
        p = payload + len;
    }
    return p;
}

/* Returns where the frames begin, or p while the answer is incomplete. */
static const unsigned char *take_answer(struct conn *c, const unsigned char *p, const unsigned char *end)
{
    const unsigned char *line = memmem(p, (size_t)(end - p), "\r\n", 2);
    if (!line)
        return p;
    if (line - p < 12 || memcmp(p, "HTTP/1.", 7) || memcmp(p + 9, "101", 3))
        die("the handshake was answered with: %.*s", (int)(line - p), (const char *)p);
    const unsigned char *head = memmem(p, (size_t)(end - p), "\r\n\r\n", 4);
    if (!head)
        return p;
    c->phase = OPEN;
    up++;
    if (opt.churn)
        subscribe(c);
    return head + 4;
}

static void open_one(struct conn *c);

static void reopen(struct conn *c)
{
    struct linger reset = {.l_onoff = 1}; /* no port waits for the last of its bytes */
    setsockopt(c->link.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
#ifdef TLS
    SSL_free(c->link.tls);
#endif
    close(c->link.fd);
    *c = (struct conn){0};
    open_one(c);
}

/* Returns whether there may be more, of which epoll does not know. */
static bool readable(struct conn *c)
{
    static unsigned char buffer[TAIL + READ_SIZE];
    /* What was left over goes right before what comes in, so that frames are whole. */
    unsigned char *fresh = buffer + TAIL;
    const unsigned char *p = fresh - c->tail_len, *end;
    ssize_t n = take_in(&c->link, fresh, READ_SIZE);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            lost(c, n ? strerror(errno) : "connection closed by the server");
        return false;
    }
    bytes += (uint64_t)n;
    end = fresh + n;
    memcpy(fresh - c->tail_len, c->tail, c->tail_len);
    if (c->phase == UPGRADING)
        p = take_answer(c, p, end);
    if (c->phase == OPEN && c->link.fd >= 0)
        p = take_frames(c, p, end);
    c->tail_len = (size_t)(end - p);
    if (c->tail_len > TAIL)
        die("the handshake was answered with more than %d bytes", TAIL);
    memcpy(c->tail, p, c->tail_len);
    if (opt.churn && c->phase == OPEN && c->answered) {
        served++;
        reopen(c);
        return false;
    }
#ifdef TLS
    return c->link.fd >= 0;
#else
    return false;
#endif
}

/* Asks for a WebSocket as soon as the handshake of TLS is done. None waits for another one's: the server may
 * take them in any order. */
static void upgrade(struct conn *c)
{
    if (greet(&c->link)) {
        const char *asked = c - conns < opt.stall ? stalled_request : request;
        c->phase = UPGRADING;
        send_all(c, asked, strlen(asked));
    } else if (errno != EAGAIN) {
        lost(c, "TLS failed");
    }
}

static void connected(struct conn *c)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->link.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        die("127.0.0.1:%d: %s", opt.port, strerror(error));
    c->phase = GREETING;
    begin(&c->link);
    struct epoll_event want = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->link.fd, &want);
    upgrade(c);
}

static void open_one(struct conn *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;
    c->link.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->link.fd < 0)
        die("connection %td: %s", c - conns + 1, strerror(errno));
    setsockopt(c->link.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (c - conns < opt.stall)
        setsockopt(c->link.fd, SOL_SOCKET, SO_RCVBUF, &(int){STALLED_BUFFER}, sizeof(int));
    if (connect(c->link.fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
        die("127.0.0.1:%d: %s", opt.port, strerror(errno));
    struct epoll_event want = {.events = EPOLLOUT, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->link.fd, &want))
        die("epoll: %s", strerror(errno));
}

static void connect_more(void)
{
    for (; started < opt.connections && started - up < UNDER_WAY; started++)
        open_one(&conns[started]);
}

/* ---- the run ---- */

static double origin;

static void turn(void)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(epoll_fd, events, EVENTS, 20);
    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        if (c->link.fd < 0)
            continue;
        if (c->phase == CONNECTING)
            connected(c);
        else if (c->phase == GREETING)
            upgrade(c);
        else
            while (readable(c))
                ;
    }
    heartbeats(clock_s(CLOCK_MONOTONIC) - origin);
}

static void run_for(double seconds)
{
    double end = clock_s(CLOCK_MONOTONIC) + seconds;
    while (clock_s(CLOCK_MONOTONIC) < end)
        turn();
}

static char *upgrade_request(const char *flags)
{
    char *head;
    if (asprintf(&head,
                 "GET %s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                 opt.path ? opt.path : opt.protocol->path, flags, opt.port, opt.deflate ? DEFLATE : "") < 0)
        die("out of memory");
    return head;
}

static void set_up(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll_fd = epoll_create1(0);
    conns = must(calloc((size_t)opt.connections, sizeof *conns));
    deck = must(calloc((size_t)opt.codes, sizeof *deck));
    for (int i = 0; i < opt.codes; i++)
        deck[i] = i;
    if (opt.pick == 0 || opt.pick == opt.codes)
        shared_subscription = subscription(opt.protocol, deck, opt.codes, &shared_subscription_len);
    request = upgrade_request("");
    stalled_request = upgrade_request("&slow=conflate");
    origin = clock_s(CLOCK_MONOTONIC);
    while (up < opt.connections) {
        connect_more();
        turn();
        if (clock_s(CLOCK_MONOTONIC) - origin > SETUP_SECONDS)
            die("only %d of %d connections were up after %d s", up, opt.connections, SETUP_SECONDS);
    }
    /* Only now: a saturated server that is busy with its first clients accepts slowly. */
    for (int i = 0; i < opt.connections; i++)
        if (conns[i].link.fd >= 0 && !opt.churn)
            subscribe(&conns[i]);
    for (int i = 0; i < opt.stall; i++)
        if (conns[i].link.fd >= 0)
            epoll_ctl(epoll_fd, EPOLL_CTL_DEL, conns[i].link.fd, NULL);
}

static void churn(void)
{
    set_up();
    run_for(opt.warmup);
    served = 0;
    double cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID), server = server_cpu_s();
    double start = clock_s(CLOCK_MONOTONIC);
    run_for(opt.seconds);
    double wall = clock_s(CLOCK_MONOTONIC) - start;
    printf("{\"connections_per_s\": %.1f, \"load_cpu\": %.3f, \"server_cpu\": %.3f, \"server_rss_after\": %" PRIu64 "}\n",
           (double)served / wall, (clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu) / wall,
           (server_cpu_s() - server) / wall, server_rss());
}

static void hold(void)
{
    uint64_t before = server_rss();
    set_up();
    run_for(opt.warmup + opt.seconds);
    uint64_t after = server_rss();
    if (closed)
        die("the server closed %d of %d connections", closed, opt.connections);
    printf("{\"connections\": %d, \"server_rss_before\": %" PRIu64 ", \"server_rss_after\": %" PRIu64
           ", \"bytes_per_connection\": %.0f}\n",
           opt.connections, before, after, ((double)after - (double)before) / opt.connections);
}

static void measure(void)
{
    set_up();
    run_for(opt.warmup);
    frames = bytes = samples = slowest_us = next_sample = 0;
    memset(histogram, 0, sizeof histogram);
    double cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID), server = server_cpu_s();
    double start = clock_s(CLOCK_MONOTONIC);
    run_for(opt.seconds);
    double wall = clock_s(CLOCK_MONOTONIC) - start;
    cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (!frames)
        die("no push (cmd_id 22998) came in %.1f s", wall);
    printf("{\"connections\": %d, \"frames\": %" PRIu64 ", \"seconds\": %.3f, \"frames_per_s\": %.0f, "
           "\"bytes_per_s\": %.0f, ",
           opt.connections, frames, wall, (double)frames / wall, (double)bytes / wall);
    if (samples)
        printf("\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, ", percentile_ms(.5), percentile_ms(.99),
               (double)slowest_us / 1000);
    else
        printf("\"p50_ms\": null, \"p99_ms\": null, \"max_ms\": null, ");
    printf("\"load_cpu\": %.3f, ", cpu / wall);
    if (opt.processes)
        printf("\"server_cpu\": %.3f, \"server_rss\": %" PRIu64 ", ",
               (server_cpu_s() - server) / wall, server_rss());
    else
        printf("\"server_cpu\": null, ");
    printf("\"closed\": %d}\n", closed);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", 1, 0, 'p'},       {"connections", 1, 0, 'n'}, {"codes", 1, 0, 'c'},      {"pick", 1, 0, 'k'},
        {"warmup", 1, 0, 'w'},     {"seconds", 1, 0, 's'},     {"server-pid", 1, 0, 'P'}, {"idle", 0, 0, 'i'},
        {"churn", 0, 0, 'h'},      {"deflate", 0, 0, 'd'},     {"stall", 1, 0, 'S'},
        {"seed", 1, 0, 'r'},       {"path", 1, 0, 'u'},        {"protocol", 1, 0, 'o'},  {0},
    };
    int which, i;
    while ((which = getopt_long(argc, argv, "", options, &i)) != -1) {
        const char *name = which == '?' ? "" : options[i].name;
        switch (which) {
        case 'p': opt.port = (int)number(name, optarg, 1); break;
        case 'n': opt.connections = (int)number(name, optarg, 1); break;
        case 'c': opt.codes = (int)number(name, optarg, 1); break;
        case 'k': opt.pick = (int)number(name, optarg, 0); break;
        case 'w': opt.warmup = number(name, optarg, 0); break;
        case 's': opt.seconds = number(name, optarg, 0.1); break;
        case 'P':
            if (opt.processes == MOST_PROCESSES)
                die("--server-pid: at most %d of them, please", MOST_PROCESSES);
            opt.server_pids[opt.processes++] = (int)number(name, optarg, 1);
            break;
        case 'i': opt.idle = true; break;
        case 'h': opt.churn = true; break;
        case 'd': opt.deflate = true; break;
        case 'r': opt.seed = (uint64_t)number(name, optarg, 0); break;
        case 'u': opt.path = optarg; break;
        case 'o': opt.protocol = protocol_of(optarg); break;
        case 'S': opt.stall = (int)number(name, optarg, 0); break;
        default: return 1; /* getopt has said why */
        }
    }
    if (!opt.port || opt.port > 65535)
        die("--port is needed");
    if (opt.pick > opt.codes)
        die("--pick cannot exceed --codes");
    if ((opt.idle || opt.churn) && !opt.processes)
        die("--idle and --churn need --server-pid");
    if (opt.idle)
        hold();
    else if (opt.churn)
        churn();
    else
        measure();
    return 0;
}
