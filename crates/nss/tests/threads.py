"""Looks the machine's name up in many threads, while children are forked that ask the module too.

The children ask it directly: in the child of a process with threads, getaddrinfo itself may wait for ever for a lock of the
C library (in __check_pf), whichever service answers.
"""
import ctypes
import os
import socket
import threading

WANTED = {"192.0.2.10", "2001:db8::10", "198.51.100.7", "2001:db8:1::7"}
MODULE = ctypes.CDLL("libnss_hostlet.so.2")


def look():
    found = {one[4][0] for one in socket.getaddrinfo("vm1", None)}
    assert found == WANTED, found
    assert socket.gethostbyaddr("192.0.2.10")[0] == "vm1.example.org"


def ask():
    host, errno, h_errno = (ctypes.c_void_p * 4)(), ctypes.c_int(), ctypes.c_int()
    buffer = ctypes.create_string_buffer(1024)
    status = MODULE._nss_hostlet_gethostbyname_r(
        b"vm1", host, buffer, ctypes.c_size_t(1024), ctypes.byref(errno), ctypes.byref(h_errno))
    assert status == 1 and socket.inet_aton("192.0.2.10") in buffer.raw


def several():
    for _ in range(100):
        look()
    while running:
        ask()


def descriptors():
    return os.listdir("/proc/self/fd")


look()
ask()
assert len(os.listdir("/proc/self/task")) == 1, "a thread was left"
before = descriptors()
running = True
threads = [threading.Thread(target=several) for _ in range(8)]
for thread in threads:
    thread.start()
for _ in range(100):
    child = os.fork()
    if child == 0:
        try:
            ask()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
running = False
for thread in threads:
    thread.join()
assert descriptors() == before, (before, descriptors())
print("well")
