# python3 server.py WHO tcp|udp ADDRESS…   serves as WHO, having asked itself at these addresses
# python3 server.py - client ADDRESS…      asks others
import asyncio
import errno
import socket
import sys

who, mode, *addresses = sys.argv[1:]
FOREIGN = "10.0.0.77" if who == "who-host" else "10.0.0.1"


def bare(name):
    return name[0].removeprefix("::ffff:")


async def ask(host, **options):
    try:
        reader, writer = await asyncio.open_connection(host, 8082, **options)
    except OSError as error:
        return f"{host}: {errno.errorcode.get(error.errno, error)}"
    ends = f"{bare(writer.get_extra_info('sockname'))} to {bare(writer.get_extra_info('peername'))}"
    writer.write(b"?\n")
    answer = await reader.read()
    writer.close()
    return f"{ends}: {answer.decode()}"


async def plain(reader, writer):
    await reader.read(4096)
    remote, local = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
    writer.write(f"{who}. {bare(remote)} {bare(local)}".encode())
    writer.close()


async def listen(host, port, **options):
    server = await asyncio.start_server(plain, host, port, **options)
    print("listening", sorted(s.getsockname() for s in server.sockets), flush=True)
    return server


def fallback():
    """As programs do that would have more: MPTCP, or else TCP."""
    try:
        return socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 262)
    except OSError as error:
        if error.errno not in (errno.EPROTONOSUPPORT, errno.ENOPROTOOPT, errno.EINVAL):
            raise
        return socket.socket(socket.AF_INET6, socket.SOCK_STREAM)


async def tcp():
    kept = [
        await listen(None, 8080),
        await listen(["127.0.0.1", "::1"], 8081),
        await listen("0.0.0.0", 8082),
        await listen("::", 8082),
        await listen("0.0.0.0", 8083, reuse_port=True),
        await listen("0.0.0.0", 8083, reuse_port=True),
        await listen("::", 8083, reuse_port=True),
    ]
    more = fallback()
    more.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    more.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    more.bind(("::", 8085))
    kept.append(await asyncio.start_server(plain, sock=more))
    try:
        await listen(FOREIGN, 8084)
    except OSError as error:
        # Since Python 3.13 an address that cannot be had has a text and no number.
        print("foreign", errno.errorcode[error.errno or errno.EADDRNOTAVAIL])
    for host in ["127.0.0.1", "::1", "localhost", "0.0.0.0", "::", *addresses]:
        print("asked", host, await ask(host))
    for local in addresses:
        host = next(a for a in addresses if (":" in a) == (":" in local))
        print("asked from", local, await ask(host, local_addr=(local, 0)))
    print("asked from another", await ask("10.0.0.100", local_addr=(FOREIGN, 0)))
    return kept


class Answers(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, source):
        self.transport.sendto(f"{who}. {bare(source)}".encode(), source)


class Asks(asyncio.DatagramProtocol):
    def __init__(self):
        self.got = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, source):
        self.got.set_result(f"{bare(source)}: {data.decode()}")

    def error_received(self, error):
        self.got.set_result(errno.errorcode[error.errno])


async def udp():
    loop = asyncio.get_running_loop()
    six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    six.setblocking(False)
    six.bind(("::", 5300))
    ends = [{"sock": six}, {"local_addr": ("0.0.0.0", 5300)}, {"local_addr": ("::", 5301)}]
    ends += [{"local_addr": ("::", 5302), "reuse_port": True}] * 2
    for options in ends:
        transport, _ = await loop.create_datagram_endpoint(Answers, **options)
        print("bound", transport.get_extra_info("sockname"))
    for address in ["127.0.0.1", "::1", *addresses]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for options in ({"family": family}, {"remote_addr": (address, 5301)}):
            transport, asks = await loop.create_datagram_endpoint(Asks, **options)
            transport.sendto(b"?", None if "remote_addr" in options else (address, 5301))
            local = transport.get_extra_info("sockname")
            print("asked", sorted(options), address, await asks.got, local[0])
            transport.close()


async def main():
    if mode == "client":
        for host in addresses:
            print(await ask(host))
        return
    kept = await (tcp() if mode == "tcp" else udp())
    print("ready", flush=True)
    await asyncio.Event().wait()
    del kept


asyncio.run(main())
