/* The bytes of a connection: as recv and send, with EAGAIN for whatever has to wait. With -DTLS under TLS. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#ifdef TLS
#include <openssl/ssl.h>
#endif

enum { READ_SIZE = 256 * 1024 }; /* at a time: more falls out of the second-level cache */

struct link {
    int fd; /* -1 once lost */
#ifdef TLS
    SSL *tls;
#endif
};

#ifdef TLS
static SSL_CTX *context;

static void begin(struct link *link)
{
    if (!context) {
        context = must(SSL_CTX_new(TLS_client_method()));
        SSL_CTX_set_read_ahead(context, 1);
        SSL_CTX_set_default_read_buffer_len(context, READ_SIZE);
        SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    }
    link->tls = must(SSL_new(context));
    SSL_set_fd(link->tls, link->fd);
    SSL_set_connect_state(link->tls);
}

static ssize_t outcome(struct link *link, int n)
{
    if (n > 0)
        return n;
    int error = SSL_get_error(link->tls, n);
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

static ssize_t take_in(struct link *link, void *data, size_t size)
{
    return outcome(link, SSL_read(link->tls, data, (int)size));
}

static ssize_t put_out(struct link *link, const void *data, size_t size)
{
    return outcome(link, SSL_write(link->tls, data, (int)size));
}

/* Whether the handshake of TLS is done; otherwise as take_in. */
static bool greet(struct link *link)
{
    int n = SSL_do_handshake(link->tls);
    if (n == 1)
        return true;
    outcome(link, n);
    return false;
}

static short waits_for(struct link *link)
{
    return SSL_want_read(link->tls) ? POLLIN : POLLOUT;
}
#else
static void begin(struct link *link)
{
    (void)link;
}

static bool greet(struct link *link)
{
    (void)link;
    return true;
}

static ssize_t take_in(struct link *link, void *data, size_t size)
{
    return recv(link->fd, data, size, 0);
}

static ssize_t put_out(struct link *link, const void *data, size_t size)
{
    return send(link->fd, data, size, MSG_NOSIGNAL);
}

static short waits_for(struct link *link)
{
    (void)link;
    return POLLOUT;
}
#endif
