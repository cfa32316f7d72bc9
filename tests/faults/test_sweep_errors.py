"""F7, F10, F22, and the shim itself: a disk that cannot be read, other errors, another device, and what the shim sees."""

import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from commands import Commands
from projects import left_in
from scenarios import DATE, LENIENT, exports, first_run, forced_run, repeated_run
from shim import Fault, Shim
from sweep import points, swept
from truth import FULL, complete, served

READS = [Fault(mode, error="EIO", calls="reads") for mode in ("once", "sticky")]
OTHERS = [Fault("sticky", error=error) for error in ("EDQUOT", "EROFS", "ESTALE")]
EVERY = 11 if FULL else 401


@pytest.mark.parametrize("scenario", [forced_run, repeated_run], ids=["forced run", "run of a day that is there"])
def test_F7_a_disk_that_cannot_be_read_at_each_read(project, library, tmp_path, tally, scenario):
    sweep = scenario(project, library, tmp_path)
    calls = sweep.count("reads")
    swept(sweep, points(calls, READS, EVERY), len(points(calls, READS)), tally)


def test_F22_other_errors_from_a_call_on(project, library, shared, tmp_path, tally):
    sweep = first_run(project, library, tmp_path)
    calls = sweep.counted("first_run", shared)
    swept(sweep, points(calls, OTHERS, 3 * EVERY), len(points(calls, OTHERS)), tally)


@pytest.mark.parametrize(
    "elsewhere",
    [("raw", "parquet", "rejected"), ("events",), ("parquet",)],
    ids=" and ".join,
)
def test_F10_staging_is_beside_its_target_so_each_folder_may_be_a_device_of_its_own(
    project, tmp_path, tally, elsewhere
):
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to be had (/dev/shm)")
    sandbox = project.sandbox(exports=exports(tmp_path / "exports", 2, DATE))
    place = Commands(tmp_path, sandbox, **LENIENT)
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        place.data.mkdir()
        for name in elsewhere:
            (Path(folder) / name).mkdir()
            (place.data / name).symlink_to(Path(folder) / name)
        for command in (place.run, place.force):
            done = command(DATE)
            assert done.returncode == 0, done.stderr
            damage = complete(place.data, DATE, served(sandbox, DATE), replaced=True)
            tally.injected(1, damage)
            assert not damage
        assert not left_in(Path(folder))
        for name in elsewhere:
            (place.data / name).unlink()


SAME = {
    "open": "openat", "open64": "openat", "openat64": "openat", "creat": "openat", "pwrite": "pwrite64", "remove": "unlink",
    "ftruncate64": "ftruncate", "sendfile64": "sendfile",
}  # fmt: skip
"""What libc's functions are to the kernel."""


def test_the_shim_sees_what_strace_sees(project, library, tmp_path):
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("there is no strace to compare the shim with")
    sandbox = project.sandbox(exports=exports(tmp_path / "exports", 2, DATE))
    place = Commands(tmp_path, sandbox, **LENIENT)
    shim = Shim(library, tmp_path / "shim", place.data, Fault())
    log = tmp_path / "strace"
    traced = (
        "openat,write,pwrite64,writev,pwritev,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,ftruncate"
    )
    traced += (
        ",truncate,fallocate,fsync,fdatasync,sync_file_range,link,linkat,symlink,symlinkat,sendfile,copy_file_range"
    )
    traced += ",chmod,fchmod,fchmodat,io_uring_enter,msync"
    done = place.run(
        DATE, prefix=(strace, "-f", "-qq", "-y", "-s", "0", "-e", f"trace={traced}", "-o", str(log)), **shim.options
    )
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    kernel = Counter()
    for line in log.read_text(encoding="utf-8").splitlines():
        call = re.match(r"\d+ +(\w+)\((.*)", line)
        if call and str(place.data) in call[2] and (call[1] != "openat" or re.search(r"O_CREAT|O_TRUNC", call[2])):
            kernel[call[1]] += 1
    assert kernel == Counter(SAME.get(call.name, call.name) for call in shim.calls)
    assert kernel.total() > 100
