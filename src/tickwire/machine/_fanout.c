/* `carry` of fanout.py, for sockets that are written to directly: the same bytes, the same outcome.
 *
 * It keeps the GIL: no call here waits, and what another thread did between two clients of a flush would
 * be waited for. Nothing of Python runs while a pointer into an object is used that is not held. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS; Python ignores SIGPIPE */
#endif

static PyObject *get_write_buffer_size, *is_closing; /* names of methods */

/* What a lane carries, as one run of bytes: those of `whole`, or of the room that all lanes share. */
typedef struct {
    char *room;
    Py_ssize_t room_size;
    const char *bytes;
    Py_ssize_t size;
    PyObject *whole; /* owned; NULL until somebody needs it */
} Run;

static int join(Run *run, PyObject *pieces)
{
    Py_ssize_t count = PyList_Size(pieces), part;
    char *bytes;
    run->size = 0;
    if (count == 1) {
        PyObject *only = PyList_GetItem(pieces, 0);
        if (PyBytes_AsStringAndSize(only, &bytes, &run->size))
            return -1;
        Py_INCREF(only);
        run->whole = only;
        run->bytes = bytes;
        return 0;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (PyBytes_AsStringAndSize(PyList_GetItem(pieces, i), &bytes, &part))
            return -1;
        if (part > PY_SSIZE_T_MAX - run->size) {
            PyErr_NoMemory();
            return -1;
        }
        run->size += part;
    }
    if (run->size > run->room_size) {
        free(run->room);
        run->room = malloc((size_t)run->size);
        run->room_size = run->room ? run->size : 0;
        if (!run->room) {
            PyErr_NoMemory();
            return -1;
        }
    }
    char *to = run->room;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (PyBytes_AsStringAndSize(PyList_GetItem(pieces, i), &bytes, &part))
            return -1;
        memcpy(to, bytes, (size_t)part);
        to += part;
    }
    run->bytes = run->room;
    return 0;
}

/* Whether a transport is open and nothing waits in it; -1 with an exception. */
static int is_clear(PyObject *transport)
{
    PyObject *answer = PyObject_CallMethodObjArgs(transport, get_write_buffer_size, NULL);
    if (!answer)
        return -1;
    int waits = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    if (waits)
        return waits < 0 ? -1 : 0;
    answer = PyObject_CallMethodObjArgs(transport, is_closing, NULL);
    if (!answer)
        return -1;
    int closing = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return closing < 0 ? -1 : !closing;
}

/* How many bytes the socket of a client took; -1 with an exception. A socket that is broken took none: the
 * client's own way says so to whom it concerns. */
static Py_ssize_t offer(PyObject *direct, const Run *run)
{
    if (direct == Py_None)
        return 0;
    int descriptor;
    PyObject *transport;
    if (!PyTuple_Check(direct)) {
        PyErr_SetString(PyExc_TypeError, "a direct way is a descriptor and a transport, or None");
        return -1;
    }
    if (!PyArg_ParseTuple(direct, "iO", &descriptor, &transport))
        return -1;
    int clear = is_clear(transport);
    if (clear < 0 && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear(); /* it is asked again on the client's own way, which ends with the client */
        return 0;
    }
    if (clear <= 0)
        return clear;
    Py_ssize_t sent = send(descriptor, run->bytes, (size_t)run->size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? 0 : sent;
}

/* Notes that a client is yet to get what is behind the first `sent` bytes. */
static int note(PyObject *short_ones, PyObject *client, Run *run, Py_ssize_t sent)
{
    PyObject *rest;
    if (sent) {
        rest = PyBytes_FromStringAndSize(run->bytes + sent, run->size - sent);
    } else {
        if (!run->whole)
            run->whole = PyBytes_FromStringAndSize(run->bytes, run->size);
        rest = run->whole;
        Py_XINCREF(rest);
    }
    PyObject *pair = rest ? PyTuple_Pack(2, client, rest) : NULL;
    Py_XDECREF(rest);
    int failed = !pair || PyList_Append(short_ones, pair);
    Py_XDECREF(pair);
    return failed ? -1 : 0;
}

static int send_to_all(PyObject *clients, Run *run, PyObject *short_ones)
{
    PyObject *items = PyDict_Items(clients); /* nobody else's, whatever a transport does when it is asked */
    int failed = !items;
    for (Py_ssize_t i = 0; !failed && i < PyList_Size(items); i++) {
        PyObject *item = PyList_GetItem(items, i);
        Py_ssize_t sent = offer(PyTuple_GetItem(item, 1), run);
        failed = sent < 0 || (sent < run->size && note(short_ones, PyTuple_GetItem(item, 0), run, sent));
    }
    Py_XDECREF(items);
    return failed ? -1 : 0;
}

static int push_all(PyObject *short_ones, PyObject *push)
{
    for (Py_ssize_t i = 0; i < PyList_Size(short_ones); i++) {
        PyObject *pair = PyList_GetItem(short_ones, i);
        PyObject *done = PyObject_CallObject(push, pair);
        if (!done)
            return -1;
        Py_DECREF(done);
    }
    return 0;
}

static int carry_load(PyObject *load, PyObject *push, Run *run, unsigned long long *handed)
{
    PyObject *pieces, *clients;
    if (!PyTuple_Check(load)) {
        PyErr_SetString(PyExc_TypeError, "a load is the pieces and the clients");
        return -1;
    }
    if (!PyArg_ParseTuple(load, "O!O!", &PyList_Type, &pieces, &PyDict_Type, &clients))
        return -1;
    PyObject *short_ones = PyList_New(0);
    int failed = !short_ones || join(run, pieces);
    if (!failed) {
        *handed += (unsigned long long)run->size * (unsigned long long)PyDict_Size(clients);
        failed = send_to_all(clients, run, short_ones);
    }
    Py_CLEAR(run->whole);
    if (!failed)
        failed = push_all(short_ones, push);
    Py_XDECREF(short_ones);
    return failed ? -1 : 0;
}

static PyObject *carry(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *loads, *push;
    if (!PyArg_ParseTuple(args, "O!O", &PyList_Type, &loads, &push))
        return NULL;
    Run run = {0};
    unsigned long long handed = 0;
    int failed = 0;
    for (Py_ssize_t i = 0; !failed && i < PyList_Size(loads); i++) {
        PyObject *load = PyList_GetItem(loads, i);
        Py_INCREF(load);
        failed = carry_load(load, push, &run, &handed);
        Py_DECREF(load);
    }
    free(run.room);
    return failed ? NULL : PyLong_FromUnsignedLongLong(handed);
}

static PyMethodDef methods[] = {
    {"carry", carry, METH_VARARGS, "See `fanout.carry_in_python`."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_fanout", .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC PyInit__fanout(void)
{
    get_write_buffer_size = PyUnicode_InternFromString("get_write_buffer_size");
    is_closing = PyUnicode_InternFromString("is_closing");
    return get_write_buffer_size && is_closing ? PyModule_Create(&module) : NULL;
}
