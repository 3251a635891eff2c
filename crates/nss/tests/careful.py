"""Calls the module's functions as the C library does, with every size and alignment of the buffer.

Prints the number of calls that succeeded. Asserts: nothing is written outside the buffer, pointers lie within it and are aligned,
too small is said as ERANGE, and all answers are equal.
"""
import ctypes as c
import socket

lib = c.CDLL("libnss_hostlet.so.2")
TRYAGAIN, NOTFOUND, SUCCESS = -2, 0, 1
ERANGE, NETDB_INTERNAL = 34, -1
PAD = 64


class Hostent(c.Structure):
    _fields_ = [("name", c.c_void_p), ("aliases", c.c_void_p), ("family", c.c_int), ("length", c.c_int),
                ("list", c.c_void_p)]


class Tuple(c.Structure):
    _fields_ = [("next", c.c_void_p), ("name", c.c_void_p), ("family", c.c_int), ("addr", c.c_uint32 * 4),
                ("scope", c.c_uint32)]


class Buffer:
    def __init__(self, size, shift):
        self.whole = c.create_string_buffer(b"\xaa" * (size + 2 * PAD + shift), size + 2 * PAD + shift)
        self.start = c.addressof(self.whole) + PAD + shift
        self.size = size

    def has(self, pointer, size=1, align=1):
        assert self.start <= pointer and pointer + size <= self.start + self.size, "outside the buffer"
        assert pointer % align == 0, "not aligned"
        return pointer

    def text(self, pointer):
        text = c.string_at(self.has(pointer))
        self.has(pointer, len(text) + 1)
        return text

    def pointers(self, at):
        found = []
        while True:
            value = c.c_void_p.from_address(self.has(at + 8 * len(found), 8, 8)).value
            if value is None:
                return found
            found.append(value)

    def untouched(self):
        raw = self.whole.raw
        front = self.start - c.addressof(self.whole)
        assert set(raw[:front] + raw[front + self.size:]) == {0xAA}, "written outside the buffer"


def show(buffer, host):
    assert host.length == {socket.AF_INET: 4, socket.AF_INET6: 16}[host.family]
    return (buffer.text(host.name), [buffer.text(p) for p in buffer.pointers(host.aliases)],
            [c.string_at(buffer.has(p, host.length, 4), host.length) for p in buffer.pointers(host.list)])


def by_name(family):
    def call(buffer, errno, h_errno):
        host, ttl, canon = Hostent(), c.c_int32(-1), c.c_void_p()
        status = lib._nss_hostlet_gethostbyname3_r(
            b"vm1", family, c.byref(host), c.c_void_p(buffer.start), c.c_size_t(buffer.size),
            c.byref(errno), c.byref(h_errno), c.byref(ttl), c.byref(canon))
        if status == SUCCESS:
            assert ttl.value == 0 and buffer.text(canon.value) == b"vm1.example.org"
            return status, show(buffer, host)
        return status, None
    return call


def by_address(address, family):
    raw = socket.inet_pton(family, address)

    def call(buffer, errno, h_errno):
        host = Hostent()
        status = lib._nss_hostlet_gethostbyaddr_r(
            raw, len(raw), family, c.byref(host), c.c_void_p(buffer.start), c.c_size_t(buffer.size),
            c.byref(errno), c.byref(h_errno))
        return status, show(buffer, host) if status == SUCCESS else None
    return call


def tuples(own):
    def call(buffer, errno, h_errno):
        mine = Tuple()
        first = c.c_void_p(c.addressof(mine) if own else None)
        status = lib._nss_hostlet_gethostbyname4_r(
            b"vm1", c.byref(first), c.c_void_p(buffer.start), c.c_size_t(buffer.size),
            c.byref(errno), c.byref(h_errno), None)
        if status != SUCCESS:
            return status, None
        found, at = [], first.value
        if own:
            assert at == c.addressof(mine)
        while at is not None:
            if at != c.addressof(mine):
                buffer.has(at, c.sizeof(Tuple), 8)
            one = Tuple.from_address(at)
            found.append((buffer.text(one.name), one.family, bytes(one.addr), one.scope))
            at = one.next
        return status, found
    return call


good = 0
for call in (by_name(socket.AF_INET), by_name(socket.AF_INET6), tuples(False), tuples(True),
             by_address("192.0.2.10", socket.AF_INET), by_address("2001:db8:1::7", socket.AF_INET6)):
    for shift in range(9):
        answers, fit = [], False
        for size in list(range(0, 400)) + [1024]:
            buffer, errno, h_errno = Buffer(size, shift), c.c_int(-7), c.c_int(-7)
            status, answer = call(buffer, errno, h_errno)
            buffer.untouched()
            if status == TRYAGAIN:
                assert not fit and (errno.value, h_errno.value) == (ERANGE, NETDB_INTERNAL)
                continue
            assert (status, h_errno.value) == (SUCCESS, 0), (status, errno.value, h_errno.value)
            fit = True
            good += 1
            answers.append(answer)
        assert fit and all(answer == answers[0] for answer in answers)

# What no caller should do.
errno, h_errno, host, buffer = c.c_int(), c.c_int(), Hostent(), Buffer(512, 0)
place = (c.c_void_p(buffer.start), c.c_size_t(512), c.byref(errno), c.byref(h_errno))
assert lib._nss_hostlet_gethostbyname2_r(b"vm1", 99, c.byref(host), *place) == -1
assert lib._nss_hostlet_gethostbyname_r(None, c.byref(host), *place) == NOTFOUND
assert lib._nss_hostlet_gethostbyname_r(b"", c.byref(host), *place) == NOTFOUND
assert lib._nss_hostlet_gethostbyname_r(b"\xff" * 9000, c.byref(host), *place) == NOTFOUND
assert lib._nss_hostlet_gethostbyaddr_r(b"1234", 3, socket.AF_INET, c.byref(host), *place) == -1
assert lib._nss_hostlet_gethostbyaddr_r(None, 4, socket.AF_INET, c.byref(host), *place) == -1
assert lib._nss_hostlet_gethostbyname_r(b"vm1", c.byref(host), None, c.c_size_t(0), None, None) == TRYAGAIN
buffer.untouched()
print(good)
