/* What is said to a server, as masked frames: in the protocol of AllTick, or in that of Centrifugo. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes a masked frame to out (payload + 14 bytes are enough) and returns its length. */
static size_t mask_frame(unsigned char *out, int opcode, const unsigned char *payload, size_t len)
{
    static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t n = 0;
    out[n++] = (unsigned char)(0x80 | opcode);
    if (len < 126) {
        out[n++] = (unsigned char)(0x80 | len);
    } else {
        int width = len < 65536 ? 2 : 8;
        out[n++] = 0x80 | (width == 2 ? 126 : 127);
        for (int i = width - 1; i >= 0; i--)
            out[n++] = (unsigned char)((uint64_t)len >> (8 * i));
    }
    memcpy(out + n, key, 4);
    n += 4;
    for (size_t i = 0; i < len; i++)
        out[n++] = payload[i] ^ key[i % 4];
    return n;
}

static int alltick(char *text, const int *codes, int count)
{
    int n = sprintf(text, "{\"cmd_id\":22004,\"seq_id\":1,\"trace\":\"b\",\"data\":{\"symbol_list\":[");
    for (int i = 0; i < count; i++)
        n += sprintf(text + n, "%s{\"code\":\"C%03d\"}", i ? "," : "", codes[i]);
    return n + sprintf(text + n, "]}}");
}

static int centrifugo(char *text, const int *codes, int count)
{
    int n = sprintf(text, "{\"id\":1,\"connect\":{}}");
    for (int i = 0; i < count; i++)
        n += sprintf(text + n, "\n{\"id\":%d,\"subscribe\":{\"channel\":\"C%03d\"}}", i + 2, codes[i]);
    return n;
}

static const struct protocol {
    const char *name, *path;
    int (*subscription)(char *text, const int *codes, int count); /* writes it and returns its length */
    bool lines;      /* a frame holds one or more messages, a line each */
    bool heartbeats; /* the client sends them */
} protocols[] = {
    {"alltick", "/quote-b-ws-api?token=bench", alltick, false, true},
    {"centrifugo", "/connection/websocket?", centrifugo, true, false},
};

static const struct protocol *protocol_of(const char *name)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (!strcmp(protocols[i].name, name))
            return &protocols[i];
    die("--protocol: alltick or centrifugo, please");
}

/* The frame that subscribes to these codes. */
static unsigned char *subscription(const struct protocol *protocol, const int *codes, int count, size_t *len)
{
    char *text = must(malloc(128 + (size_t)count * 64));
    int n = protocol->subscription(text, codes, count);
    unsigned char *frame = must(malloc((size_t)n + 14));
    *len = mask_frame(frame, 1, (unsigned char *)text, (size_t)n);
    free(text);
    return frame;
}
