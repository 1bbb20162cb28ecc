"""A PostgreSQL client of a few lines for measurements that pgbench cannot make: no driver between the clock and the wire."""
import socket, struct, subprocess, sys, time


class Client:
    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
        self.s.sendall(struct.pack("!I", len(body) + 4) + body)
        self.buffer = b""
        self.finish()

    def take(self, n):
        while len(self.buffer) < n:
            more = self.s.recv(65536)
            if not more:
                raise ConnectionError("the server closed the connection")
            self.buffer += more
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def finish(self):
        """Reads to ReadyForQuery; gives the first column of the last row. An error is raised."""
        value = error = None
        while True:
            kind, length = struct.unpack("!cI", self.take(5))
            body = self.take(length - 4)
            if kind == b"D":
                n = struct.unpack("!i", body[2:6])[0]
                value = body[6:6 + n].decode() if n >= 0 else None
            elif kind == b"E":
                error = RuntimeError([f[1:].decode() for f in body.split(b"\0") if f[:1] == b"M"][0])
                if b"FATAL" in body:
                    raise error
            elif kind == b"Z":
                if error:
                    raise error
                return value

    def ask(self, sql):
        body = sql.encode() + b"\0"
        self.s.sendall(b"Q" + struct.pack("!I", len(body) + 4) + body)
        return self.finish()


def connect_when_up(port, limit=120):
    end = time.monotonic() + limit
    while True:
        try:
            c = Client(port)
            c.ask("select count(*) from pgbench_branches")
            return c
        except (OSError, ConnectionError, RuntimeError):
            if time.monotonic() > end:
                raise
            time.sleep(0.005)


def visible(writer, reader, seconds):
    """From the commit's acknowledgement to its sight on the reader, in milliseconds: n p50 p99 max."""
    w, r = Client(writer), Client(reader)
    w.ask("create table if not exists probe (v int); delete from probe; insert into probe values (0)")
    end, n, waits = time.monotonic() + seconds, 0, []
    while True:
        try:
            if r.ask("select v from probe") is not None:
                break
        except RuntimeError:
            pass
        time.sleep(0.01)
    while time.monotonic() < end:
        n += 1
        w.ask(f"update probe set v = {n}")
        began = time.perf_counter()
        while int(r.ask("select v from probe")) < n:
            pass
        waits.append((time.perf_counter() - began) * 1000)
        time.sleep(0.005)
    waits.sort()
    print(f"{len(waits)} {waits[len(waits) // 2]:.2f} {waits[int(len(waits) * 0.99)]:.2f} {waits[-1]:.2f}")


def first_answer(port, command):
    """Runs a command (that starts a server) and gives the milliseconds to the first answered query."""
    began = time.perf_counter()
    subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    connect_when_up(port)
    print(f"{(time.perf_counter() - began) * 1000:.0f}")


def first_write(port, command):
    """Runs a command (that promotes a server) and gives the milliseconds to the first accepted write."""
    c = Client(port)
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while True:
        try:
            c.ask("insert into pgbench_history (tid, bid, aid, delta) values (1, 1, 1, 0)")
            break
        except RuntimeError:
            time.sleep(0.002)
            if process.poll() not in (None, 0):
                sys.exit("the promotion failed")
    print(f"{(time.perf_counter() - began) * 1000:.0f}")
    process.wait()


def best(port, sql, times):
    """The shortest of some runs of a query, in milliseconds."""
    c = Client(port)
    c.ask("set max_parallel_workers_per_gather = 0")
    out = []
    for _ in range(int(times)):
        began = time.perf_counter()
        c.ask(sql)
        out.append((time.perf_counter() - began) * 1000)
    print(f"{min(out):.0f}")


if __name__ == "__main__":
    what, a = sys.argv[1], sys.argv[2:]
    if what == "visible":
        visible(int(a[0]), int(a[1]), float(a[2]))
    elif what == "first-answer":
        first_answer(int(a[0]), a[1:])
    elif what == "first-write":
        first_write(int(a[0]), a[1:])
    elif what == "best":
        best(int(a[0]), a[1], a[2])
