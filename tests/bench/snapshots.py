"""Writing a machine of 10,000 processes and 256 MiB to a file, and reading it, beside `zstd -1` with
as many threads on the same bytes: the image that is in the file. Both on a file system in memory,
where there is one."""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import time

from bench import BenchError, HERE

KEEPERS = HERE / "processes" / "keepers.atoll"
# The most that Atoll's time may be of zstd's.
RATIO = 2
SHARED = pathlib.Path("/dev/shm")
MACHINE = """
[[machine]]
name = "keepers"
module = "{module}"
arguments = [{argument}]
limits = {{ memory = "2 GiB", processes = 20000 }}
"""


def unpack(snapshot, frames):
    """Writes the zstd frames of a snapshot, one after the other (docs/snapshots.md, "File")."""
    with open(snapshot, "rb") as source, open(frames, "wb") as target:
        source.seek(12)
        source.seek(struct.unpack("<I", source.read(4))[0], os.SEEK_CUR)
        while True:
            plain, packed = struct.unpack("<II", source.read(8))
            if plain == 0:
                return
            target.write(source.read(packed))


def seconds(command, **options):
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)
    return time.monotonic() - begin


def wait_for(condition, what):
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise BenchError(f"{what}: not in a minute")


def measure(bench, folder, kind, argument):
    atoll = bench.atoll()
    environment = dict(os.environ, XDG_RUNTIME_DIR=str(folder))
    control = {"env": environment, "cwd": folder}
    (folder / "machines.toml").write_text(MACHINE.format(
        module=bench.assemble(KEEPERS.relative_to(HERE.parent.parent)), argument=argument))
    threads = len(os.sched_getaffinity(0))

    def logs():
        return subprocess.run([atoll, "logs", "keepers"], capture_output=True, text=True,
                              check=False, **control).stdout

    with subprocess.Popen([atoll, "serve", "machines.toml"], **control) as server:
        try:
            wait_for(lambda: "ready" in logs(), "10,000 processes")
            least = {}

            def take(name, command, **options):
                value = seconds(command, **options)
                least[name] = min(value, least.get(name, value))

            for _ in range(bench.rounds):
                take("snapshot", [atoll, "snapshot", "keepers", "it.snap"], **control)
                if not (folder / "image").exists():
                    unpack(folder / "it.snap", folder / "frames")
                    with open(folder / "image", "wb") as image:
                        subprocess.run(["zstd", "-dc", "frames"], cwd=folder, stdout=image,
                                       check=True)
                    (folder / "frames").unlink()
                zstd = ["zstd", "-q", "-f", f"-T{threads}"]
                take("pack", [*zstd, "-1", "image", "-o", "image.zst"], cwd=folder)
                take("restore", [atoll, "restore", "it.snap", "--grant", "--as", "again"],
                     **control)
                seconds([atoll, "destroy", "again"], **control)
                take("unpack", [*zstd, "-d", "image.zst", "-o", "image.out"], cwd=folder)
            status = json.loads(subprocess.run([atoll, "machines", "--json"], check=True,
                                               capture_output=True, **control).stdout)
            size = (folder / "image").stat().st_size
            if status[0]["processes"] != 10_001 or size < 256 << 20:
                raise BenchError(f"{status[0]['processes']} processes in {size} bytes")
        finally:
            server.terminate()
            server.wait()
    method = f"minimum of {bench.rounds}, wall time, {threads} threads, {size >> 20} MiB"
    for own, peer in (("snapshot", "pack"), ("restore", "unpack")):
        bench.figure(f"{own}, {kind}", least[own], "s", method, {"zstd -1": least[peer]})
        bench.figure(f"{own}, {kind} / zstd -1", least[own] / least[peer], "x", method,
                     target=RATIO)
    for name in ("it.snap", "image", "image.zst", "image.out"):
        (folder / name).unlink()


def run(bench):
    if not shutil.which("zstd"):
        bench.missing["zstd"] = "apt-get install zstd"
        bench.figure("snapshots", None, "", "", note="no zstd")
        return
    place = SHARED if os.access(SHARED, os.W_OK) else None
    for kind, argument in (("random bytes", ""), ("bytes that pack", '"text"')):
        with tempfile.TemporaryDirectory(dir=place) as folder:
            measure(bench, pathlib.Path(folder), kind, argument)
