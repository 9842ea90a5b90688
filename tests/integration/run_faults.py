"""Do damage to a small whole run, at random moments and in many ways, and see what comes of it.

    .venv/bin/python tests/integration/run_faults.py --directory faults --seeds 1 2 --minutes 60

A world in which every rule runs once is run undisturbed. Storms then come over copies of it. After
each fault, what README.md tells a user is done: the same command again. Good is what ends in the
bytes of the undisturbed run, or first refuses with a message that names the trouble and ends in
these bytes once that is mended. All else is broken, is told on stderr, and makes the exit status 1.
What a storm does follows from its seed; the moments, from the machine too.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from faults import (
    LOCKED,
    PEAK_TARGETS,
    PEAKS,
    RULES_LEFT_OUT,
    TARGETS,
    TRAININGS,
    Job,
    Run,
    copy_of,
    differences,
    jobs_of,
    prepare,
    scripts,
    words_of,
)
from timeless import digests

SAME, REFUSED, BROKEN = "same bytes", "refused with a message", "broken"
DAY = 86_400
MADE = ("results", "resources")
# What tells that a run was refused for a reason.
REASON = re.compile(r"^ERROR |Error|died with|exit status|exit code", re.MULTILINE)
# Files that hold a checksum, or lie beside one. Tables do not: no one can tell a digit of theirs
# from another.
CHECKED = (".zip", ".gz", ".npy", ".npz", ".safetensors")
# Name and date in the head of a gzip file are in no checksum but that of the configuration, which
# this one does not give.
FETCHING = ("get_genome", "get_chipseq_archive", "get_chipseq", "get_motif_database")
# The record is the first to hold a result's checksum: it has nothing to compare with.
RECORDING = ("write_provenance",)


class NotHere(Exception):
    """This machine or this user cannot make the fault; the message says why."""


@dataclass
class Storm:
    """A copy of the finished run, and what was done to it.

    Parameters
    ----------
    run : Run
        In the copy.
    jobs : dict of str to Job
        A job of each rule.
    only : set of str
        The rules that may be disturbed.
    expected : dict of str to str
        What the files of the undisturbed run are.
    draw : random.Random
    """

    run: Run
    jobs: dict[str, Job]
    only: set[str]
    expected: dict[str, str]
    draw: random.Random
    came: list[list[str]] = field(default_factory=list)  # fault and outcome
    lost: list[Job] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.run.folder

    def note(self, fault: Callable, outcome: str) -> None:
        self.came.append([fault.__doc__, outcome])

    def chosen(self, rules) -> list[str]:
        return [rule for rule in rules if rule in self.only]

    def lose(self, *rules: str) -> None:
        """Remove what a job of each rule made."""
        for rule in rules:
            self.lost.append(self.jobs[rule])
            for output in self.jobs[rule].outputs:
                path = self.folder / output
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def lose_all(self) -> None:
        """Go back to before the first run."""
        for part in ("results", "resources", ".snakemake"):
            shutil.rmtree(self.folder / part)

    def commands(self, missing: bool = False) -> Iterator[tuple[str, ...]]:
        """Yield the command lines that make all of it, what was lost by name.

        A file in the middle, gone when a job that was making it anew was killed, is not missed by
        Snakemake while what it is made of has the same content and what is made of it is there:
        with `missing` such files are asked for by name too.
        """
        for targets, peaks in ((TARGETS, False), (PEAK_TARGETS, True)):
            asked = {path for job in self.lost for path in job.outputs if job.peaks == peaks}
            if missing:
                paths = {path for job in self.jobs.values() for path in job.outputs}
                mine = {path for path in paths if (PEAKS in path) == peaks}
                asked |= {path for path in mine if not (self.folder / path).exists()}
            yield words_of((*targets, *sorted(asked)), peaks)

    def rerun(self) -> str | None:
        """Do what README.md says, to the end; return what is wrong with it."""
        for words in self.commands(missing=True):
            well, output = self.run.ends(words)
            if not well and LOCKED in output:
                self.run.ends(("--unlock",))
                well, output = self.run.ends(words)
            if not well:
                return f"it does not end:\n{output}"
        return None

    def wrong(self) -> str | None:
        """Return which files are not those of the undisturbed run."""
        _, left = psutil.wait_procs(self.run.orphans(), timeout=120)
        if left:
            return f"jobs do not end: {left}"
        return "\n".join(differences(self.expected, digests(self.folder, *MADE))) or None

    def refused(self, words: tuple[str, ...], *patterns: str) -> str | None:
        """Run into a fault; return the outcome, and raise AssertionError if that is broken."""
        well, output = self.run.ends(words)
        named = any(re.search(pattern, output) for pattern in patterns)
        assert well or named, f"the message names no trouble ({patterns}):\n{output}"
        return SAME if well else REFUSED


# ---- killed -------------------------------------------------------------------------------------


def job_killed(snakemake: subprocess.Popen, job: psutil.Process) -> None:
    """SIGKILL of the job alone, as for lack of memory"""
    job.kill()


def all_killed(snakemake: subprocess.Popen, job: psutil.Process) -> None:
    """SIGKILL of Snakemake and its jobs, as when a machine goes down"""
    os.killpg(snakemake.pid, signal.SIGKILL)


def snakemake_killed(snakemake: subprocess.Popen, job: psutil.Process) -> None:
    """SIGKILL of Snakemake alone: its jobs run on beside the next run's"""
    snakemake.kill()


def terminated(snakemake: subprocess.Popen, job: psutil.Process) -> None:
    """SIGTERM of Snakemake, as at the end of a session"""
    snakemake.terminate()


def interrupted(snakemake: subprocess.Popen, job: psutil.Process) -> None:
    """SIGINT of Snakemake and its jobs, as by Ctrl-C"""
    os.killpg(snakemake.pid, signal.SIGINT)


KILLS = (job_killed, all_killed, snakemake_killed, terminated, interrupted)


def kills(storm: Storm) -> None:
    """From nothing to the end, with a kill at a random moment of a job of every rule."""
    storm.lose_all()
    rules, shift = sorted(storm.only), storm.draw.randrange(len(KILLS))
    pending = {*rules}

    def kill(snakemake: subprocess.Popen, job: psutil.Process, rule: str) -> bool:
        time.sleep(storm.draw.uniform(0, storm.jobs[rule].seconds))
        fault = KILLS[(rules.index(rule) + shift) % len(KILLS)]
        try:
            fault(snakemake, job)
        except (psutil.NoSuchProcess, ProcessLookupError):  # it ended before
            return False
        storm.note(fault, SAME)
        return True

    weather(storm, pending, kill)
    for _ in range(3):  # once more for those that were over before they were met
        if not pending:
            break
        # A fetched copy that is gone is not missed while its source, made anew, is the same as
        # before: it is asked for by name.
        again = {*FETCHING} & {*storm.jobs} if "simulate_demo" in pending else set()
        storm.lose(*sorted(pending | again))
        weather(storm, pending, kill)
    if pending:
        print(f"not met: {', '.join(sorted(pending))}", file=sys.stderr, flush=True)


def weather(storm: Storm, pending: set[str], disturb: Callable) -> None:
    """Run all commands to their ends; disturb a job of each pending rule.

    A run that fails without being disturbed has met what ran on from an earlier one: it has to say
    so, and the disturbance before it counts as refused.
    """
    for words in storm.commands():
        failed = 0
        while True:
            snakemake, disturbed = storm.run.launch(words), False
            while snakemake.poll() is None:
                for job, rule in storm.run.jobs(snakemake):
                    if rule in pending and disturb(snakemake, job, rule):
                        pending.remove(rule)
                        disturbed = True
                time.sleep(0.01)
            output = storm.run.output()
            if snakemake.returncode == 0:
                break
            if disturbed:
                failed = 0
            elif LOCKED in output:
                storm.run.ends(("--unlock",))
            else:
                failed += 1
                assert REASON.search(output), f"no message:\n{output}"
                assert failed < 3, f"it does not end:\n{output}"
                assert storm.came, f"it fails undisturbed:\n{output}"
                storm.came[-1][1] = REFUSED


# ---- what a killed job goes on from ------------------------------------------------------------


def checkpoint_cut(path: Path, draw: random.Random) -> None:
    """What a killed job goes on from is cut short"""
    os.truncate(path, draw.randrange(path.stat().st_size))


def checkpoint_flipped(path: Path, draw: random.Random) -> None:
    """A bit is flipped of what a killed job goes on from"""
    flip(path, draw)


def flip(path: Path, draw: random.Random) -> None:
    """Change one bit in the middle of a file, and leave its time as it was."""
    content, status = bytearray(path.read_bytes()), path.stat()
    place = draw.randrange(len(content) // 3, len(content) * 2 // 3)
    content[place] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def checkpoints(storm: Storm) -> None:
    """Each job that keeps what it goes on from, killed, and this damaged, in either way."""
    resuming = storm.chosen((*TRAININGS, "scan_genome"))
    for fault in (checkpoint_cut, checkpoint_flipped):

        def damage(snakemake, job, rule, fault=fault) -> bool:
            folders = {(storm.folder / path).parent for path in storm.jobs[rule].outputs}
            if not any(map(resumed_from, folders)):
                return False
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
                job.suspend()
                found = [path for folder in folders for path in resumed_from(folder)]
                if found:
                    job.kill()
                    fault(storm.draw.choice(sorted(found)), storm.draw)
                    storm.note(fault, SAME)
                    return True
                job.resume()
            return False

        storm.lose(*resuming)
        pending = {*resuming}
        weather(storm, pending, damage)
        if pending:
            print(f"not met: {', '.join(sorted(pending))}", file=sys.stderr, flush=True)


def resumed_from(folder: Path) -> list[Path]:
    """Return the files from which a killed job goes on whose outputs stand in a folder."""
    # What begins with a dot is not finished yet.
    return [*folder.glob("checkpoints/last.pt"), *folder.glob("parts/[!.]*.npy")]


# ---- files that are read ------------------------------------------------------------------------


def input_flipped(storm: Storm) -> None:
    """A bit is flipped of a file that a job reads, its date kept"""
    # The last first: what a job reads must not be lost yet.
    for job in sorted(storm.jobs.values(), key=lambda job: job.began, reverse=True):
        found = [path for path in files_of(storm, job.inputs) if path.suffix in CHECKED]
        if job.rule not in storm.only or job.rule in FETCHING + RECORDING or not found:
            continue
        path = storm.draw.choice(found)
        whole, status = path.read_bytes(), path.stat()
        storm.lose(job.rule)
        flip(path, storm.draw)
        name = re.escape(path.name)
        came = storm.refused(words_of(job.outputs, job.peaks), rf"(?m)^ERROR .*{name}")
        path.write_bytes(whole)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        if came == SAME:
            made, top = digests(storm.folder, *MADE), storm.folder
            kept = {str(each.relative_to(top)) for each in files_of(storm, job.outputs)}
            other = [each for each in kept & {*made} if made[each] != storm.expected.get(each)]
            assert not other, f"{job.rule} took a damaged {path.name}: {other}"
        storm.note(input_flipped, came)


def files_of(storm: Storm, paths: tuple[str, ...]) -> list[Path]:
    """Return the files at some paths of the run, and below those that are folders."""
    found = []
    for path in map(storm.folder.joinpath, paths):
        found += sorted(path.rglob("*")) if path.is_dir() else [path]
    return [path for path in found if path.is_file() and storm.folder in path.resolve().parents]


# ---- disks --------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[str], None]]:
    """Put what stands in a folder on a disk of its own; give what changes the disk's options."""

    def mount(*words: str) -> None:
        done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotHere(f"mount refuses: {done.stderr.strip()}")

    aside = folder.with_name(f"{folder.name}.aside")
    folder.rename(aside)
    folder.mkdir()
    try:
        mount("-t", "tmpfs", "-o", "size=1g", "tmpfs", str(folder))
        try:
            shutil.copytree(aside, folder, symlinks=True, dirs_exist_ok=True)
            yield lambda options: mount("-o", f"remount,{options}", str(folder))
        finally:
            shutil.rmtree(aside)
            shutil.copytree(folder, aside, symlinks=True)
            subprocess.run(["umount", "-l", str(folder)], check=True)
    finally:
        folder.rmdir()
        aside.rename(folder)


def disk_full(storm: Storm) -> None:
    """No room left on the disk of results/"""
    needed = sum(path.stat().st_size for path in storm.folder.glob("results/**/*"))
    storm.lose_all()
    (storm.folder / "results").mkdir()
    with small_disk(storm.folder / "results") as options:
        room = 0
        for words in storm.commands():
            while True:
                room += storm.draw.randrange(4096, needed // 8, 4096)
                options(f"size={room}")
                came = storm.refused(words, r"No space left on device")
                if came == SAME:
                    break
                storm.note(disk_full, came)


def read_only(storm: Storm) -> None:
    """The disk of results/ takes no writes"""
    rules = ("shard_genome", "pretrain_lm", "evaluate", "scan_genome", "pack_model", "summarise")
    storm.lose(*storm.chosen(rules))
    with small_disk(storm.folder / "results") as options:
        options("ro")
        for rule in storm.chosen(rules):
            words = words_of(storm.jobs[rule].outputs, storm.jobs[rule].peaks)
            came = storm.refused(words, "Read-only file system", "Write-protected output files")
            assert came == REFUSED, "it ended well on a disk that takes no writes"
            storm.note(read_only, came)
        options("rw")


# ---- clocks and neighbours ----------------------------------------------------------------------


def date_all(storm: Storm, change: Callable[[float], float]) -> None:
    """Give all files other dates, and make anew what a job of some rules made."""
    for part in ("results", "resources", "config", ".snakemake"):
        for path in (storm.folder / part).rglob("*"):
            now = change(path.stat().st_mtime)
            os.utime(path, (now, now))
    rules = ("shard_genome", "train_classifier", "evaluate", "pack_model", "pack_release")
    storm.lose(*storm.chosen(rules))


def clock_back(storm: Storm) -> None:
    """The clock goes back by a day: all files come from the future"""
    date_all(storm, lambda now: now + DAY)
    storm.note(clock_back, storm.refused(next(storm.commands()), "clock skew"))
    now = time.time()
    for part in ("results", "resources", "config"):  # as touch does
        for path in (storm.folder / part).rglob("*"):
            if path.stat().st_mtime > now:
                os.utime(path)


def clock_ahead(storm: Storm) -> None:
    """The clock was far behind and is set right: all files date from 1970"""
    date_all(storm, lambda now: now % DAY)
    storm.note(clock_ahead, SAME)


def two_runs(storm: Storm) -> None:
    """A second run begins in the folder of another"""
    for rule in storm.chosen(("train_classifier", "scan_genome", "run_gkm")):
        storm.lose(rule)
        words = words_of(storm.jobs[rule].outputs, False)
        first = storm.run.launch(words)
        while first.poll() is None and not any(storm.run.jobs(first)):
            time.sleep(0.01)
        with Run(storm.folder).start(*words) as second:
            output, _ = second.communicate()
        assert first.wait() == 0, f"the first run fails:\n{storm.run.output()}"
        assert second.returncode == 0 or LOCKED in output, f"no word of a lock:\n{output}"
        storm.note(two_runs, REFUSED if second.returncode else SAME)


STORMS = (
    kills,
    checkpoints,
    input_flipped,
    disk_full,
    read_only,
    clock_back,
    clock_ahead,
    two_runs,
)


# ---- all of them --------------------------------------------------------------------------------


def blow(kind: Callable, storm: Storm) -> str | None:
    """Let a storm come over a copy of the run; return in words what is broken after it."""
    try:
        kind(storm)
        broken = storm.rerun() or storm.wrong()
    except NotHere:
        raise
    except AssertionError as error:
        broken = str(error)
        storm.note(kind, BROKEN)
    except Exception:  # of the runner itself: the other storms are still worth their time
        broken = traceback.format_exc()
        storm.note(kind, BROKEN)
    finally:
        storm.run.kill_all()
    if broken and not any(outcome == BROKEN for _, outcome in storm.came):
        # Which of its faults did it cannot be told from the end: run them with --stages.
        for each in storm.came:
            each[1] = BROKEN
    return broken


def table(counts: dict[str, Counter]) -> str:
    """Return what came of all faults as a Markdown table."""
    rows = [("fault", "tried", SAME, REFUSED, BROKEN), ("---",) * 5]
    for fault, count in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        rows.append((fault, count.total(), *(count[key] for key in (SAME, REFUSED, BROKEN))))
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows).replace(" --- ", "---")


def undisturbed(folder: Path) -> Run:
    """Make the world, and run both of its configurations to their ends."""
    run = prepare(folder)
    for words in (words_of(TARGETS, False), words_of(PEAK_TARGETS, True)):
        well, output = run.ends(words)
        if not well:
            raise SystemExit(f"the undisturbed run failed:\n{output}")
    return run


def main() -> None:
    """Read the command line, do the damage, and print the table."""
    names = {kind.__name__: kind for kind in STORMS}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--directory", type=Path, default=Path("faults"), help="made, and removed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], metavar="SEED")
    parser.add_argument("--stages", nargs="+", metavar="RULE", help="disturb these rules only")
    parser.add_argument("--storms", nargs="+", choices=names, default=[*names], metavar="STORM")
    parser.add_argument("--minutes", type=float, default=120, help="begin no storm after these")
    args = parser.parse_args()
    end = time.monotonic() + 60 * args.minutes
    root = args.directory.resolve()
    root.mkdir(parents=True)
    counts: dict[str, Counter] = {}
    try:
        run = undisturbed(root / "whole")
        expected, jobs = digests(run.folder, *MADE), jobs_of(run)
        if missing := {*scripts()} - {job.rule for job in jobs} - {*RULES_LEFT_OUT}:
            raise SystemExit(f"the world runs no job of {', '.join(sorted(missing))}")
        print("undisturbed run: done", file=sys.stderr, flush=True)
        for seed in args.seeds:
            for name in args.storms:
                if time.monotonic() > end:
                    print(f"no time for {name} of seed {seed}")
                    continue
                draw = random.Random(f"{seed} {name}")
                one = {job.rule: job for job in draw.sample(jobs, len(jobs))}
                only = {*one} & {*(args.stages or one)}
                copy = copy_of(run, root / f"{name}_{seed}")
                storm = Storm(copy, one, only, expected, draw)
                began = time.monotonic()
                try:
                    broken = blow(names[name], storm)
                except NotHere as reason:
                    print(f"{name} cannot be had here: {reason}")
                    continue
                finally:
                    shutil.rmtree(copy.folder)
                for fault, outcome in storm.came:
                    counts.setdefault(fault, Counter())[outcome] += 1
                told = f"{name} of seed {seed}: {len(storm.came)} faults"
                print(f"{told} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
                if broken:
                    print(broken, file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(root)
        print(table(counts), flush=True)
    sys.exit(any(count[BROKEN] for count in counts.values()))


if __name__ == "__main__":
    main()
