# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Plain TCP connections in C, with an express lane for what nearly every request is.

`Connection` is a transport, by the shape of asyncio's: the same protocol classes stand on it that stand on the event
loop's own transports, and TLS, or an installation without a compiler, uses those. `Express` reads and writes the
sockets of all connections from one epoll set, which the event loop watches as one more file descriptor.

The lane takes a poll of a running query when nothing about it is unusual: a GET of a statement's own URI in one
piece, by a header block that this connection has sent before, for a coordinator that is known, with an idle
connection at hand; answered by one piece with a response head that has been judged before, a Content-Length, and a
page that says that more follow, or that nobody has to read. Such a request never becomes Python objects of ours. The moment that anything is
different, the lane hands the request over to the `Client` and `Upstream` protocols as if they had forwarded it
themselves, and they go on from there: the lane has no errors, time-outs or refusals of its own.

Of large pages, which `Upstream` relays, the pieces in the middle go from socket to socket without becoming Python
objects, as long as the client takes them and nobody looks for anything in them.

What the lane counts is in C integers; `settle` adds it to the counters that metrics read. Not thread-safe; owned by
one event loop.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcmp, memcpy, memset
from posix.unistd cimport close

import os
import socket
import time
from collections import deque

from gateway.http1.response import HEADS
from gateway.proxy.counters import BUCKETS
from gateway.proxy.pages import PREFIX_BYTES, STATES
from gateway.proxy.segments import MARK
from gateway.proxy.upstream import CHUNKED, LENGTH
from gateway.routing.circuit import State

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <string.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    #include <time.h>
    static double xt_monotonic(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    }
    /* memmem of glibc is slow to start on short haystacks; the first byte of our needles is rare enough. */
    static const char *xt_find(const char *text, size_t size, const char *what, size_t length) {
        const char *end = text + size;
        while ((size_t)(end - text) >= length) {
            text = (const char *)memchr(text, what[0], (size_t)(end - text) - length + 1);
            if (text == NULL) return NULL;
            if (memcmp(text, what, length) == 0) return text;
            text++;
        }
        return NULL;
    }
    """
    double monotonic "xt_monotonic" ()
    const char *find "xt_find" (const char *text, size_t size, const char *what, size_t length)
    void *memmem(const void *text, size_t size, const void *what, size_t length)
    ctypedef union epoll_data:
        void *ptr
    struct epoll_event:
        uint32_t events
        epoll_data data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event *event)
    int epoll_wait(int epfd, epoll_event *events, int count, int timeout)
    enum: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP, EPOLLET
    enum: EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, EPOLL_CLOEXEC
    ssize_t recv(int fd, void *data, size_t size, int flags)
    ssize_t send(int fd, const void *data, size_t size, int flags)
    enum: MSG_NOSIGNAL

cdef enum:
    BATCH = 256  # events taken from the kernel at once
    READ_BYTES = 262144  # read at once: a head of the largest common size in one piece
    HIGH_WATER = 65536  # bytes unsent at which the protocol is told to stop, as asyncio does
    LOW_WATER = 16384
    LATENCIES = 22
    LINE_BYTES = 2048  # of a request line that the lane takes
    BLOCK_BYTES = 32768  # of a header block that the lane takes
    HEAD_BYTES = 1024  # of a response head that the lane takes
    PIECE_BYTES = 4096  # of a body: smaller pieces are nobody's bulk
    CHUNK_DIGITS = 8  # of a chunk's size: more are somebody else's business
    KEPT_IDLE = 4096  # of blocks that an idle connection keeps
    HEADS_KEPT = 16  # of these, by each lane, where they are found again at once
    VERDICTS = 4096  # response heads that are remembered

assert LATENCIES == BUCKETS

cdef bytes _EXECUTING = b"GET /v1/statement/executing/"
cdef bytes _QUEUED = b"GET /v1/statement/queued/"
cdef bytes _NEXT = b'"nextUri":"'
cdef bytes _STATS = b'"stats":{"state":"'
cdef bytes _SEGMENTS = MARK
cdef Py_ssize_t _PREFIX = PREFIX_BYTES
cdef dict _STATES = {state: state for state in STATES}
cdef dict _HEADS = HEADS
cdef object _CLOSED = State.CLOSED
cdef int _LENGTH = LENGTH
cdef int _CHUNKED = CHUNKED

# What a byte of a request target may be: printable, no space, no `#`.
cdef char _TARGET[256]
memset(_TARGET, 0, 256)
for _byte in range(0x21, 0x7F):
    _TARGET[_byte] = _byte != 0x23


cdef inline bint _digits(const char *text, int count) noexcept:
    cdef int i
    for i in range(count):
        if not 48 <= text[i] <= 57:
            return False
    return True


cdef Py_ssize_t _poll_line(const char *text, Py_ssize_t size, Py_ssize_t *id_at) noexcept:
    """The length of a poll's request line with its CRLF, and where the query id stands; 0 when it is anything else."""
    cdef Py_ssize_t pos
    cdef int i
    cdef char byte
    if size < 80 or text[0] != 71:
        return 0
    if memcmp(text, PyBytes_AS_STRING(_EXECUTING), 28) == 0:
        pos = 28
    elif memcmp(text, PyBytes_AS_STRING(_QUEUED), 25) == 0:
        pos = 25
    else:
        return 0
    id_at[0] = pos
    # dddddddd_dddddd_ddddd_xxxxx and what ends it
    if not (
        _digits(text + pos, 8)
        and text[pos + 8] == 95
        and _digits(text + pos + 9, 6)
        and text[pos + 15] == 95
        and _digits(text + pos + 16, 5)
        and text[pos + 21] == 95
        and (text[pos + 27] == 47 or text[pos + 27] == 63)
    ):
        return 0
    for i in range(22, 27):
        byte = text[pos + i]
        if not (48 <= byte <= 57 or 97 <= byte <= 122):
            return 0
    pos += 27
    if size > LINE_BYTES:
        size = LINE_BYTES
    while pos < size and _TARGET[<unsigned char>text[pos]]:
        pos += 1
    if size - pos < 11 or memcmp(text + pos, b" HTTP/1.1\r\n", 11) != 0:
        return 0
    return pos + 11


cdef Py_ssize_t _chunks(const char *text, Py_ssize_t size, Py_ssize_t left, Py_ssize_t *payload) noexcept:
    """Follow a piece of a chunked body from where `left` bytes of a chunk are to come, or a size line when 0: the same
    for the piece's end, or -1 when it ends elsewhere, is the body's last, or is in any other way unusual."""
    cdef Py_ssize_t pos = 0, length
    cdef int _digit
    cdef char byte
    payload[0] = 0
    while True:
        if left:
            if size - pos < left:
                return left - (size - pos)
            pos += left
            if size - pos < 2 or text[pos] != 13 or text[pos + 1] != 10:
                return -1
            pos += 2
        if pos == size:
            return 0
        length = 0
        for _digit in range(CHUNK_DIGITS):
            if pos == size:
                return -1
            byte = text[pos]
            if 48 <= byte <= 57:
                length = length * 16 + byte - 48
            elif 97 <= (byte | 32) <= 102:
                length = length * 16 + (byte | 32) - 87
            else:
                break
            pos += 1
        if length == 0 or size - pos < 2 or text[pos] != 13 or text[pos + 1] != 10:
            return -1
        pos += 2
        left = length
        payload[0] += length


def follow_chunks(bytes piece, Py_ssize_t left):
    """What `Express` makes of a piece of a chunked body: the place at its end and the payload that it announces."""
    cdef Py_ssize_t payload = 0
    place = _chunks(PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece), left, &payload)
    return place, payload


cdef bytes _page_state(const char *text, Py_ssize_t size, bytes last):
    """The state in the page of a poll that says that more follow, empty when it lies behind rows; None when the page
    takes a closer look. `last` is a guess."""
    cdef const char *more
    cdef const char *at
    cdef const char *end
    cdef Py_ssize_t near
    cdef PyObject *found
    if size < 64 or memcmp(text, b'{"id":"', 7) != 0:
        return None
    near = size if size < 2048 else 2048
    more = find(text, near, PyBytes_AS_STRING(_NEXT), 11)
    if more == NULL:
        return None
    near = text + (size if size < _PREFIX else _PREFIX) - more
    at = <const char *>memmem(more, near if near < 1024 else 1024, PyBytes_AS_STRING(_STATS), 18)
    if at == NULL and memmem(more, near, b'"data":[', 8) != NULL:
        return b""
    if at == NULL and near > 1024:
        at = <const char *>memmem(more, near, PyBytes_AS_STRING(_STATS), 18)
    if at == NULL or memmem(more, at - more, PyBytes_AS_STRING(_SEGMENTS), PyBytes_GET_SIZE(_SEGMENTS)) != NULL:
        return None
    at += 18
    near = text + size - at
    end = <const char *>memchr(at, 34, near if near < 32 else 32)
    if end == NULL:
        return None
    if last is not None and PyBytes_GET_SIZE(last) == end - at and memcmp(PyBytes_AS_STRING(last), at, end - at) == 0:
        return last
    state = PyBytes_FromStringAndSize(at, end - at)
    found = PyDict_GetItem(_STATES, state)
    return <bytes>found if found != NULL else None


cdef class Lane:
    """The express lane to one coordinator address: its pool's idle connections, and what was counted of it."""

    cdef object pool, target, circuit, stats, waiting
    cdef list idle
    cdef double idle_timeout
    cdef public bint leaks  # its pages name its own address: not for the lane
    # The response heads that came last, by the length of what followed them: the one before usually is this one.
    cdef list heads
    cdef Py_ssize_t verdicts[HEADS_KEPT]
    cdef bytes state  # that came last
    cdef long long inflight, shown  # requests in the lane now; of these, counted in the target's own number
    cdef long long answered
    cdef double last
    cdef long long first_byte[LATENCIES]
    cdef double first_byte_sum

    def __init__(self, pool):
        self.pool = pool
        self.target = pool.target
        self.circuit = pool.target.circuit
        self.stats = pool.stats
        self.idle_timeout = pool.idle_timeout
        self.leaks = pool.leaks
        self.heads = [None] * HEADS_KEPT
        self.waiting = pool.waiting
        self.idle = pool.idle
        memset(self.first_byte, 0, sizeof(self.first_byte))

    cdef void tell_idle(self):
        """Tell the idle connections' protocols since when they are idle."""
        cdef Connection connection
        for protocol in self.idle:
            connection = <Connection>protocol.transport
            if connection.since:
                protocol.idle_since = connection.since
                connection.since = 0.0

    cdef void settle(self, Express express, double now):
        """Add what was counted to the counters, and what is in flight to the target's."""
        cdef int i
        cdef long long answered = self.answered
        if self.inflight != self.shown:
            self.target.inflight += self.inflight - self.shown
            self.shown = self.inflight
        if answered == 0:
            return
        self.answered = 0
        self.target.last_seen = max(self.target.last_seen, self.last)
        stats = self.stats
        stats.outcomes[0] += answered
        first_byte = stats.first_byte
        for i in range(LATENCIES):
            if self.first_byte[i]:
                first_byte[i] += self.first_byte[i]
                self.first_byte[i] = 0
        stats.first_byte_sum += self.first_byte_sum
        self.first_byte_sum = 0.0
        express.router.answered(self.target, answered, now)


cdef class Connection:
    """A plain TCP connection: the transport of one `Client` or `Upstream`, which is its `protocol`."""

    cdef Express express
    cdef public object protocol
    cdef object sock
    cdef int fd
    cdef bint client  # else a coordinator's
    # the transport
    cdef uint32_t events  # that the kernel is asked for; 0 when it is not asked at all
    cdef bint closing, lost, paused, ended, eof_wanted, write_paused
    cdef object out  # deque of bytes that wait to be sent; None when there never were any
    cdef Py_ssize_t out_size, out_at  # bytes in it that are not sent; bytes of its first that are
    # the lane, of a client
    cdef bytes block  # the header block of its polls,
    cdef bytes forward  # what goes to the coordinator instead of it,
    cdef object memo  # and all that follows from it
    cdef object noted  # a block that came once
    cdef bint ready  # between requests, as far as its protocol is concerned
    cdef bint moved  # the lane has served it since the last settling
    cdef double since  # when the lane last did; of a coordinator's, 0 when its protocol knows better
    # the lane, of a request
    cdef Connection other  # the connection at the far end of a request in the lane
    cdef Lane lane
    cdef double started
    cdef long uses  # of a coordinator's connection, that its protocol has not been told of
    cdef bytes outgoing, query_id
    cdef bytes unread  # the page of `query_id` that passed last, if nobody has read it

    def __init__(self, Express express, object sock, object protocol, bint client):
        self.express = express
        self.sock = sock
        self.fd = sock.fileno()
        self.protocol = protocol
        self.client = client
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        express.connections[self] = None

    # -- what a transport does ---------------------------------------------------------------------------------------

    def get_extra_info(self, name, default=None):
        if name == "socket":
            return self.sock
        if name == "peername" and not self.lost:
            try:
                return self.sock.getpeername()
            except OSError:
                return default
        if name == "sockname" and not self.lost:
            return self.sock.getsockname()
        return default

    def write(self, data):
        cdef bytes piece = data
        cdef Py_ssize_t size = PyBytes_GET_SIZE(piece), sent
        if self.closing or size == 0:
            return
        if not self.client:
            self.since = 0.0
        if self.out_size == 0:
            sent = self.push(PyBytes_AS_STRING(piece), size)
            if sent == size or sent < 0:
                return
            self.keep(piece, sent)
        else:
            self.keep(piece, 0)

    def get_write_buffer_size(self):
        return self.out_size

    def can_write_eof(self):
        return True

    def write_eof(self):
        if self.closing or self.eof_wanted:
            return
        self.eof_wanted = True
        if self.out_size == 0:
            self.shut()

    def is_closing(self):
        return self.closing

    def pause_reading(self):
        self.paused = True
        self.watch()

    def resume_reading(self):
        self.paused = False
        self.watch()

    def close(self):
        """Close once all bytes are out."""
        if self.closing:
            return
        self.closing = True
        if self.out_size == 0:
            self.express.loop.call_soon(self.finish, None)
        self.watch()

    def abort(self):
        """Close now."""
        self.fail(None)

    # -- how it does it ------------------------------------------------------------------------------------------------

    cdef Py_ssize_t push(self, const char *data, Py_ssize_t size):
        """Send what the socket takes; -1 when the connection is broken."""
        cdef ssize_t sent
        while True:
            sent = send(self.fd, data, size, MSG_NOSIGNAL)
            if sent >= 0:
                return sent
            if errno == EAGAIN:
                return 0
            if errno != EINTR:
                self.fail(OSError(errno, os.strerror(errno)))
                return -1

    cdef void keep(self, bytes piece, Py_ssize_t sent):
        """Send the rest of `piece` when the socket takes more."""
        if self.out is None:
            self.out = deque()
        if self.out_size == 0:
            self.out_at = sent
            self.out_size = PyBytes_GET_SIZE(piece) - sent
        else:
            self.out_size += PyBytes_GET_SIZE(piece)
        self.out.append(piece)
        self.watch()
        if self.out_size > HIGH_WATER and not self.write_paused:
            self.write_paused = True
            self.protocol.pause_writing()

    cdef void flush(self):
        """The socket takes bytes again."""
        cdef bytes piece
        cdef Py_ssize_t size, sent
        while self.out_size:
            piece = self.out[0]
            size = PyBytes_GET_SIZE(piece) - self.out_at
            sent = self.push(PyBytes_AS_STRING(piece) + self.out_at, size)
            if sent < 0:
                return
            self.out_size -= sent
            if sent < size:
                self.out_at += sent
                break
            self.out_at = 0
            self.out.popleft()
        if self.out_size == 0:
            self.watch()
            if self.eof_wanted:
                self.shut()
            if self.closing:
                self.express.loop.call_soon(self.finish, None)
        if self.write_paused and self.out_size <= LOW_WATER and not self.closing:
            self.write_paused = False
            self.protocol.resume_writing()

    cdef void shut(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.fail(error)

    cdef void fail(self, object error):
        """The connection is of no more use; its protocol hears of it when nobody is in the middle of something."""
        if self.lost:
            return
        if self.other is not None:
            self.express.hand_over(self if self.client else self.other)
        self.lost = True
        self.closing = True
        self.out = None
        self.out_size = 0
        self.watch()
        self.express.loop.call_soon(self.finish, error)

    def finish(self, error):
        """Close the socket and tell the protocol, once."""
        if self.fd < 0:
            return
        self.lost = True
        self.watch()
        self.fd = -1
        protocol = self.protocol
        if self.unread is not None:
            self.give_back()
        self.express.forget(self)
        try:
            protocol.connection_lost(error)
        finally:
            self.protocol = None
            self.sock.close()

    cdef Py_ssize_t kept(self) except -1:
        """Bytes of header blocks that the connection holds on to."""
        cdef Py_ssize_t size = 0 if self.noted is None else len(self.noted)
        return size if self.block is None else size + 2 * PyBytes_GET_SIZE(self.block)

    cdef void give_back(self):
        """Its protocol is to know of the page that went unread."""
        self.protocol.went_unread(self.lane.target, self.query_id, self.unread)
        self.unread = None

    cdef void watch(self):
        """Ask the kernel for what we want to hear of this socket."""
        cdef uint32_t wanted = 0
        if not self.lost:
            # By edges: an event less to look at for every one that we have dealt with. The kernel tells of what is
            # there already when it is first asked, and when it is asked again.
            if not self.closing and not self.paused and not self.ended:
                wanted = EPOLLIN | EPOLLRDHUP | EPOLLET
            if self.out_size:
                wanted |= EPOLLOUT | EPOLLET
        if wanted != self.events and self.fd >= 0:
            self.ask(wanted)

    cdef void ask(self, uint32_t wanted):
        cdef epoll_event event
        event.events = wanted
        event.data.ptr = <void *>self
        if self.events == 0:
            epoll_ctl(self.express.epfd, EPOLL_CTL_ADD, self.fd, &event)
        elif wanted == 0:
            # Out of the set altogether: a reset peer would be reported again and again to nobody.
            epoll_ctl(self.express.epfd, EPOLL_CTL_DEL, self.fd, &event)
        else:
            epoll_ctl(self.express.epfd, EPOLL_CTL_MOD, self.fd, &event)
        self.events = wanted

    cdef void over(self, int error):
        """Nothing could be read: the peer has ended its half (no error), or the connection is broken."""
        if error:
            self.fail(OSError(error, os.strerror(error)))
            return
        self.ended = True
        self.watch()
        if not self.protocol.eof_received():
            self.close()


cdef class Express:
    """The sockets of one event loop, and the lane between them."""

    cdef readonly object loop
    cdef dict connections, verdicts
    cdef object server, router, counters, clock, activity
    cdef dict suffixes, queries
    cdef object by_query
    cdef list lanes
    cdef int epfd
    cdef char *buffer
    cdef bint precise  # the clock is the kernel's monotonic one
    cdef public bint open  # the lane takes requests
    cdef readonly long long taken  # requests that it took since the beginning,
    cdef readonly long long handed_over  # and of these that it did not see the end of
    cdef readonly long long passed_on  # pieces of large bodies that went from socket to socket
    cdef long long requests, bytes_in, bytes_out, upstream_bytes_in, upstream_bytes_out
    cdef long long latency[LATENCIES]
    cdef double latency_sum

    def __cinit__(self):
        self.epfd = -1
        self.buffer = <char *>PyMem_Malloc(READ_BYTES)
        if self.buffer == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.buffer)
        if self.epfd >= 0:
            close(self.epfd)

    def __init__(self, server, loop):
        self.loop = loop
        self.server = server
        self.router = server.router
        self.counters = server.counters
        self.clock = server.clock
        self.precise = server.clock is time.monotonic
        self.activity = server.router.activity
        self.queries = server.router.activity.queries
        self.suffixes = server.router.owners.by_suffix
        self.by_query = server.router.owners.by_query
        self.connections = {}
        self.verdicts = {}
        self.lanes = []
        self.open = True
        memset(self.latency, 0, sizeof(self.latency))
        self.epfd = epoll_create1(EPOLL_CLOEXEC)
        if self.epfd < 0:
            raise OSError(errno, os.strerror(errno))
        loop.add_reader(self.epfd, self.poll)

    def adopt(self, sock, protocol, client):
        """Serve a connected socket with `protocol`; `client` says whose it is."""
        cdef Connection connection = Connection(self, sock, protocol, client)
        protocol.connection_made(connection)
        connection.watch()
        return connection

    def lane_for(self, pool):
        """The lane to the pool's coordinator."""
        cdef Lane lane = Lane(pool)
        self.lanes.append(lane)
        return lane

    def drop_lane(self, lane):
        """The pool is no more."""
        (<Lane>lane).settle(self, self.now())
        self.lanes.remove(lane)

    def close(self):
        """Stop watching. Connections that are left are cut."""
        cdef Connection connection
        for connection in list(self.connections):
            connection.fail(None)
        self.loop.remove_reader(self.epfd)

    cdef void forget(self, Connection connection):
        self.connections.pop(connection, None)

    cdef inline double now(self):
        return monotonic() if self.precise else <double>self.clock()

    # -- events ------------------------------------------------------------------------------------------------------

    def poll(self):
        """The kernel has something to tell about our sockets."""
        cdef epoll_event events[BATCH]
        cdef Connection connection
        cdef int i, count
        cdef uint32_t what
        cdef bint all_read
        count = epoll_wait(self.epfd, events, BATCH, 0)
        for i in range(count):
            # Alive: connections leave `connections`, which holds them, in callbacks of the loop only.
            connection = <Connection>events[i].data.ptr
            what = events[i].events
            try:
                if what & EPOLLOUT and not connection.lost:
                    connection.flush()
                if what & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR) and connection.events & EPOLLIN:
                    if connection.client:
                        all_read = self.read_client(connection)
                    else:
                        all_read = self.read_upstream(connection)
                    if (not all_read or what & EPOLLRDHUP) and connection.events & EPOLLIN:
                        connection.ask(connection.events)  # there is more: its end, if nothing else
                elif what & (EPOLLHUP | EPOLLERR) and not connection.lost:
                    connection.fail(ConnectionResetError("the peer has closed the connection"))
            except Exception as error:  # a fault of ours must not take other connections along
                self.loop.call_exception_handler(
                    {"message": "error in a connection's protocol", "exception": error, "protocol": connection.protocol}
                )
                connection.fail(error)

    cdef bint read_client(self, Connection client) except -1:
        """Serve what a client has sent; False when there may be more of it."""
        cdef ssize_t size = recv(client.fd, self.buffer, READ_BYTES, 0)
        cdef int error = errno if size < 0 else 0
        cdef Py_ssize_t line, id_at = 0
        if error == EAGAIN or error == EINTR:
            return error == EAGAIN
        if client.other is not None:
            self.hand_over(client)  # it sends ahead, or goes away
        if size <= 0:
            client.over(error)
            return True
        line = _poll_line(self.buffer, size, &id_at)
        if line and self.open and self.take(client, size, line, id_at):
            return True
        client.ready = False
        if client.unread is not None:
            client.give_back()
        client.protocol.data_received(PyBytes_FromStringAndSize(self.buffer, size))
        if line:
            self.note(client)
        return size < READ_BYTES

    cdef bint read_upstream(self, Connection upstream) except -1:
        """Relay what a coordinator has sent; False when there may be more of it."""
        cdef ssize_t size = recv(upstream.fd, self.buffer, READ_BYTES, 0)
        cdef int error = errno if size < 0 else 0
        if error == EAGAIN or error == EINTR:
            return error == EAGAIN
        if upstream.other is not None:
            if size > 0 and self.relay(upstream, upstream.other, size):
                return True
            if upstream.other is not None:
                self.hand_over(upstream.other)
        if size <= 0:
            upstream.over(error)
        elif size < PIECE_BYTES or not self.pass_on(upstream, size):
            upstream.protocol.data_received(PyBytes_FromStringAndSize(self.buffer, size))
        return size < READ_BYTES

    cdef bint pass_on(self, Connection upstream, Py_ssize_t size) except -1:
        """Pass on a piece from the middle of a body, if that is all there is to do; what `Upstream._pass` does."""
        cdef Py_ssize_t place, payload = 0, sent
        cdef Connection client
        protocol = upstream.protocol
        if protocol.prefix is not None or protocol.watch is not None or protocol.held is not None:
            return False
        receiver = protocol.client
        if receiver is None or type(receiver.transport) is not Connection:
            return False
        client = <Connection>receiver.transport
        if client.out_size or client.closing:
            return False
        phase = protocol.phase
        if phase == _LENGTH:
            place = <Py_ssize_t>protocol.left - size
            if place <= 0:
                return False
            protocol.left = place
        elif phase == _CHUNKED:
            chunks = protocol.chunks
            place = chunks.place
            if place >= 0:
                place = _chunks(self.buffer, size, place, &payload)
            if place < 0:
                return False
            chunks.moved(place, payload)
        else:
            return False
        receiver.moved += 1
        self.passed_on += 1
        self.upstream_bytes_in += size
        self.bytes_out += size
        sent = client.push(self.buffer, size)
        if 0 <= sent < size:
            client.keep(PyBytes_FromStringAndSize(self.buffer + sent, size - sent), 0)
        return True

    # -- the lane ----------------------------------------------------------------------------------------------------

    cdef int note(self, Connection client) except -1:
        """A poll went the long way: remember its header block, when it comes a second time."""
        protocol = client.protocol
        if client.closing or protocol is None:
            return 0
        memory = protocol.memory
        block = memory.block
        if block is client.block or not 0 < len(block) <= BLOCK_BYTES:
            return 0
        if block is not client.noted:
            client.noted = block
            return 0
        client.noted = None
        memo = memory.memo
        if memo is None:
            return 0
        head = memo.head
        if head.host is None or head.close or head.length or head.chunked or head.expects_continue:
            return 0
        client.block, client.forward, client.memo = block, memo.forward, memo
        return 0

    cdef bint take(self, Connection client, Py_ssize_t size, Py_ssize_t line, Py_ssize_t id_at) except -1:
        """Forward a poll, if there is nothing unusual about it."""
        cdef char *text = self.buffer
        cdef bytes block = client.block, outgoing
        cdef Py_ssize_t length, sent
        cdef PyObject *found
        cdef Connection upstream
        cdef Lane lane
        cdef double now
        if block is None or size == READ_BYTES:
            return False
        length = PyBytes_GET_SIZE(block)
        if size - line != length or memcmp(text + line, PyBytes_AS_STRING(block), length) != 0:
            return False
        if not client.ready:
            protocol = client.protocol
            if protocol.phase != 0 or protocol.buffer is not None or protocol.half_closed:
                return False
            if protocol.unread is not None:
                if protocol.unread_id != PyBytes_FromStringAndSize(text + id_at, 27):
                    return False
                protocol.unread = None  # more did follow
            client.ready = True
        if client.out_size or self.by_query:
            return False
        found = PyDict_GetItem(self.suffixes, PyBytes_FromStringAndSize(text + id_at + 22, 5))
        if found == NULL:
            return False
        target = <object>found
        lane = client.lane
        if lane is None or lane.target is not target:
            pool = target.pool
            if pool is None or pool.lane is None:
                return False
            lane = pool.lane
        if lane.leaks or lane.circuit.state is not _CLOSED:
            return False
        now = self.now()
        if client.unread is not None and memcmp(PyBytes_AS_STRING(client.query_id), text + id_at, 27) != 0:
            return False  # it has gone on to another query
        upstream = self.idle_of(lane, now)
        if upstream is None:
            return False
        length = PyBytes_GET_SIZE(client.forward)
        outgoing = PyBytes_FromStringAndSize(NULL, line + length)
        memcpy(PyBytes_AS_STRING(outgoing), text, line)
        memcpy(PyBytes_AS_STRING(outgoing) + line, PyBytes_AS_STRING(client.forward), length)
        sent = upstream.push(PyBytes_AS_STRING(outgoing), line + length)
        if sent < 0:
            return False  # gone while it was idle
        lane.inflight += 1
        upstream.uses += 1
        client.other = upstream
        client.lane = lane
        client.started = now
        client.outgoing = outgoing
        client.unread = None  # more did follow
        client.query_id = PyBytes_FromStringAndSize(text + id_at, 27)
        upstream.other = client
        upstream.lane = lane
        self.taken += 1
        self.requests += 1
        self.bytes_in += size
        self.upstream_bytes_out += line + length
        if sent < line + length:
            upstream.keep(outgoing, sent)
            self.hand_over(client)
        return True

    cdef Connection idle_of(self, Lane lane, double now):
        """An idle connection to the coordinator that is fit for the lane."""
        cdef list idle = lane.idle
        cdef Connection connection
        cdef double since
        if not idle:
            return None
        protocol = idle[len(idle) - 1]
        connection = <Connection>protocol.transport
        if connection.closing or connection.paused or connection.out_size:
            return None  # the pool knows what to do with it
        since = connection.since
        if since == 0.0:
            if protocol.phase != 0:
                return None
            since = protocol.idle_since
        if since < now - lane.idle_timeout:
            return None
        idle.pop()
        return connection

    cdef bint relay(self, Connection upstream, Connection client, Py_ssize_t size) except -1:
        """Pass a response on, if there is nothing unusual about it."""
        cdef char *text = self.buffer
        cdef const char *end
        cdef Py_ssize_t head, sent, verdict
        cdef int slot
        cdef bytes raw, state
        cdef PyObject *found
        cdef Lane lane = client.lane
        cdef double now, elapsed
        cdef int bucket
        cdef long long units
        if size == READ_BYTES:
            return False
        end = find(text, size if size < HEAD_BYTES else HEAD_BYTES, b"\r\n\r\n", 4)
        if end == NULL:
            return False
        head = end - text + 4
        slot = (size - head) % HEADS_KEPT
        raw = <bytes>lane.heads[slot]
        if raw is not None and PyBytes_GET_SIZE(raw) == head and memcmp(PyBytes_AS_STRING(raw), text, head) == 0:
            verdict = lane.verdicts[slot]
        else:
            raw = PyBytes_FromStringAndSize(text, head)
            found = PyDict_GetItem(self.verdicts, raw)
            if found == NULL:
                if not self.judge(raw):
                    return False
                found = PyDict_GetItem(self.verdicts, raw)
            verdict = <Py_ssize_t><object>found
            lane.heads[slot] = raw
            lane.verdicts[slot] = verdict
        state = None
        now = self.now()
        if verdict == size - head:
            state = _page_state(text + head, size - head, lane.state)
            if state is None:
                return False
            if state:
                lane.state = state
        elif verdict != head - size - 2 or not self.activity.passed(lane.target, client.query_id, now):
            return False
        sent = client.push(text, size)
        if sent < 0:
            return False
        if sent < size:
            client.keep(PyBytes_FromStringAndSize(text, size), sent)
        target = lane.target
        if state is None:
            client.unread = PyBytes_FromStringAndSize(text + head, size - head)
        elif not state:
            self.activity.seen(target, client.query_id, None, False, now)
        else:
            found = PyDict_GetItem(self.queries, client.query_id)
            if found != NULL and (<object>found).state == state:
                (<object>found).seen = now
            else:
                self.activity.seen(target, client.query_id, state, False, now)
        # Both ends are free again.
        client.other = None
        upstream.other = None
        client.outgoing = None
        client.since = now
        client.moved = True
        lane.inflight -= 1
        elapsed = now - client.started
        units = <long long>(elapsed * 15625.0)
        bucket = 0
        while units:
            units >>= 1
            bucket += 1
        if bucket >= LATENCIES:
            bucket = LATENCIES - 1
        self.latency[bucket] += 1
        self.latency_sum += elapsed
        lane.first_byte[bucket] += 1
        lane.first_byte_sum += elapsed
        lane.answered += 1
        lane.last = now
        self.bytes_out += size
        self.upstream_bytes_in += size
        protocol = upstream.protocol
        if lane.waiting or not self.open:
            upstream.since = 0.0
            lane.pool.release(protocol, now)
        else:
            upstream.since = now
            lane.idle.append(protocol)  # of a route that is gone, too: the pool's sweep closes it
        return True

    cdef bint judge(self, bytes raw) except -1:
        """Whether a response head is known; remembers the length that it announces, as `-2 - length` when the page is
        compressed, and -1 when the lane may not pass it."""
        cdef PyObject *found = PyDict_GetItem(_HEADS, raw)
        if found == NULL:
            return False  # not judged before, or not to be remembered
        head = <object>found
        if len(self.verdicts) >= VERDICTS:
            self.verdicts.clear()
        verdict = -1
        if head.usual:
            verdict = head.length
        elif head.packed and head.length <= _PREFIX:
            verdict = -2 - head.length
        self.verdicts[raw] = verdict
        return True

    cdef int hand_over(self, Connection client) except -1:
        """From here on the request in the lane is its client's and upstream's own."""
        cdef Connection upstream = client.other
        cdef Lane lane = client.lane
        cdef bytes outgoing = client.outgoing
        client.other = None
        upstream.other = None
        client.ready = False
        client.outgoing = None
        # What has been counted so far comes first: a failure is judged by it.
        lane.settle(self, self.now())
        self.handed_over += 1
        lane.inflight -= 1
        lane.shown -= 1  # counted on, by the client
        upstream.protocol.taken_over(client.protocol, upstream.uses)
        upstream.uses = 0
        upstream.since = 0.0
        client.protocol.taken_over(client.memo, outgoing, client.query_id, lane.pool, upstream.protocol, client.started)
        return 0

    # -- bringing the books up to date -------------------------------------------------------------------------------

    def settle(self, double now, double patience):
        """Add what was counted to the counters; hand over what has been in the lane for over `patience` seconds."""
        cdef Connection connection
        cdef Lane lane
        cdef int i
        for lane in self.lanes:
            lane.settle(self, now)
            lane.tell_idle()
        for connection in list(self.connections):
            if not connection.client:
                continue
            if connection.other is not None:
                if now - connection.started >= patience:
                    self.hand_over(connection)
                else:
                    connection.protocol.since = connection.started
            elif connection.moved:
                connection.moved = False
                if connection.protocol is not None:
                    connection.protocol.since = connection.since
                    if connection.unread is not None:
                        connection.give_back()
                        connection.ready = False
            elif connection.kept() > KEPT_IDLE:
                connection.block = connection.forward = connection.memo = connection.noted = None
        counters = self.counters
        counters.requests += self.requests
        counters.bytes_in += self.bytes_in
        counters.bytes_out += self.bytes_out
        counters.upstream_bytes_in += self.upstream_bytes_in
        counters.upstream_bytes_out += self.upstream_bytes_out
        counters.latency_sum += self.latency_sum
        latency = counters.latency
        answered = 0
        for i in range(LATENCIES):
            if self.latency[i]:
                latency[i] += self.latency[i]
                answered += self.latency[i]
                self.latency[i] = 0
        counters.responses[2] += answered
        self.requests = self.bytes_in = self.bytes_out = self.upstream_bytes_in = self.upstream_bytes_out = 0
        self.latency_sum = 0.0
