"""A small whole run to do damage to: every rule once, and what tells two of them apart."""

import base64
import contextlib
import copy
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow" / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from runs import ROOT, Snakemake
from small_run import CONFIG, STRONG

PEAKS = "PEAKS_own"
TARGETS = ("all", "results/release.zip")
PEAK_TARGETS = (f"results/chipseq/{PEAKS}/leaks.json",)
WORLD = {
    "simulate": {"genome_length": 60_000, "peaks": 200, "test_positives": 40},
    "datasets": CONFIG["datasets"] | {"select": [STRONG]},
    "discriminate": CONFIG["discriminate"] | {"epochs": 2},
    "finetune": CONFIG["finetune"] | {"epochs": 2},
    "classifier": CONFIG["classifier"]
    | {
        "stages": [
            {"unfreeze": 1, "epochs": 1, "learning_rate": 0.02},
            {"unfreeze": "all", "epochs": 3, "learning_rate": 0.05},
        ]
    },
    "seeds": 2,
    "ensemble": ["full"],
    "baselines": ["floor", "gkm", "cnn"],
    "gkm": {"word": 6, "informative": 4, "costs": [1.0]},
    "cnn": {"widths": [12], "filters": 8, "epochs": 3, "batch_size": 32},
    "comparison": {"resamples": 100},
    "mining": {
        "run": ["attributions", "motifs", "scan", "variants", "models"],
        "attribution": {"part": "train", "sequences": 60},
        "motifs": {"finder": "seeds", "most": 2, "database": "resources/demo/motifs.meme"},
        "scan": {"stride": 50},
        "variants": {"vcf": "some.vcf", "null_size": 20},
    },
}
TRAININGS = ("pretrain_lm", "discriminate_genome", "finetune_lm", "train_classifier", "run_cnn")
# LS-GKM is a program of others, which not every machine has.
RULES_LEFT_OUT = () if shutil.which("gkmtrain") else ("run_lsgkm",)
LOCKED = "cannot be locked"


@dataclass(frozen=True)
class Job:
    """A job of the finished run: what it read and wrote, when it began, how long it took."""

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    began: float
    seconds: float

    @property
    def peaks(self) -> bool:
        """Say whether it belongs to the set that is given as peaks."""
        return any(PEAKS in path for path in self.outputs)


class Run(Snakemake):
    """Snakemake in a folder, on two cores, a thread for each job that computes."""

    options = (
        *("--cores", "2", "--set-threads", "predict=1", "attribute=1", "scan_genome=1"),
        *("score_variants=1", *(f"{rule}=1" for rule in TRAININGS)),
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.launched: list[subprocess.Popen] = []

    def launch(self, words: tuple[str, ...]) -> subprocess.Popen:
        """Start Snakemake in a process group of its own, with its output in a file."""
        with (self.folder / "output.txt").open("w") as file:
            self.launched.append(self.start(*words, stdout=file, start_new_session=True))
        return self.launched[-1]

    def ends(self, words: tuple[str, ...]) -> tuple[bool, str]:
        """Run Snakemake; return whether it ended well, and its output."""
        process = self.launch(words)
        return process.wait() == 0, self.output()

    def output(self) -> str:
        return (self.folder / "output.txt").read_text(errors="replace")

    def resume(self, words: tuple[str, ...]) -> tuple[bool, str]:
        """Do what README.md says: the same command again, and --unlock where it asks for it."""
        well, output = self.ends(words)
        if not well and LOCKED in output:
            unlocked, output = self.ends(("--unlock",))
            if unlocked:
                well, output = self.ends(words)
        return well, output

    def jobs(self, snakemake: subprocess.Popen) -> Iterator[tuple[psutil.Process, str]]:
        """Yield the jobs that run below a Snakemake, each with its rule."""
        started = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", self.output(), re.MULTILINE)
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(snakemake.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    if script := script_of(process):
                        # Several rules may share a script: the last that began.
                        rules = [rule for rule in started if scripts().get(rule) == script]
                        if rules:
                            yield process, rules[-1]

    def orphans(self) -> list[psutil.Process]:
        """Return the jobs that run in this folder, also those whose Snakemake is gone."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if script_of(process) and Path(process.cwd()) == self.folder:
                    found.append(process)
        return found

    def kill_all(self) -> None:
        """Leave nothing running, however a storm ended."""
        for snakemake in self.launched:
            if snakemake.poll() is None:
                os.killpg(snakemake.pid, signal.SIGKILL)
                snakemake.wait()
        for process in self.orphans():
            process.kill()


def script_of(process: psutil.Process) -> str | None:
    """Return the script of a rule that a process runs, without the random part of its name."""
    last = "".join(process.cmdline()[-1:])
    if "/.snakemake/scripts/" not in last or not process.name().startswith("python"):
        return None
    return last.partition("/.snakemake/scripts/")[2].partition(".")[2]


def words_of(targets: tuple[str, ...], peaks: bool) -> tuple[str, ...]:
    """Return the command line for some targets of either configuration."""
    return (*(("--configfile", "config/peaks.yaml") if peaks else ()), "--", *targets)


@functools.cache
def scripts() -> dict[str, str]:
    """Return the script of each rule."""
    found = {}
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for rule in re.split(r"^(?=rule |checkpoint )", path.read_text(), flags=re.MULTILINE):
            name = re.match(r"(?:rule|checkpoint) (\w+):", rule)
            script = re.search(r'"\.\./scripts/(\w+\.py)"', rule)
            if name and script:
                found[name[1]] = script[1]
    return found


def prepare(folder: Path) -> Run:
    """Make configurations and inputs of the user's own in a folder."""
    (folder / "config").mkdir(parents=True)
    config = copy.deepcopy(CONFIG | WORLD)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    own = {"source": None, "sheet": "sheet.tsv", "select": ["*"]}
    peaks = {"datasets": own, "chipseq": {"min_peaks": 50}, "peaks": {"distance": 50}}
    (folder / "config" / "peaks.yaml").write_text(yaml.safe_dump(peaks))
    vcf = ["##fileformat=VCFv4.2", "##contig=<ID=chr1>"]
    vcf.append("\t".join(("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")))
    vcf += [
        f"chr1\t5001\tto_{other}\t{base}\t{other}\t.\t.\t."
        for base in "ACGT"
        for other in "ACGT"
        if base != other
    ]
    (folder / "some.vcf").write_text("\n".join(vcf) + "\n")
    for name, first in (("peaks", 0), ("negatives", 150)):
        lines = [
            f"chr{contig}\t{start}\t{start + 101}\n"
            for contig in (1, 2, 3, 4)
            for start in range(first, 11_000, 300)
        ]
        (folder / f"{name}.bed").write_text("".join(lines))
    (folder / "sheet.tsv").write_text(
        f"dataset\tpeaks\tnegatives\n{PEAKS}\tpeaks.bed\tnegatives.bed\n"
    )
    return Run(folder)


def copy_of(run: Run, folder: Path) -> Run:
    """Return a copy with all times; beside the original, for Snakemake knows paths by `..`."""
    shutil.copytree(run.folder, folder, symlinks=True)
    return Run(folder)


def jobs_of(run: Run) -> list[Job]:
    """Return the jobs of a finished run, by what Snakemake noted of them."""
    found: dict[tuple[str, ...], list] = {}
    notes = run.folder / ".snakemake" / "metadata"
    for path in notes.rglob("*"):
        if path.is_file():
            note = json.loads(path.read_text())
            found.setdefault((note["rule"], *note["log"]), []).append(
                (decoded(path.relative_to(notes)), note)
            )
    jobs = []
    for (rule, *_), outputs in sorted(found.items()):
        note = outputs[0][1]
        began, ended = note["starttime"], max(each["endtime"] for _, each in outputs)
        paths = tuple(sorted(path for path, _ in outputs))
        jobs.append(Job(rule, tuple(note["input"]), paths, began, ended - began))
    return jobs


def decoded(path: Path) -> str:
    """Return the output that a file of metadata is about."""
    return base64.b64decode(str(path).replace("@", "").replace("/", "")).decode()


# ---- what is the same ---------------------------------------------------------------------------


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """Return in words which files are not the same."""
    words = [f"missing {path}" for path in expected if path not in found]
    words += [f"left behind {path}" for path in found if path not in expected]
    return words + [
        f"other bytes {path}"
        for path in expected
        if path in found and expected[path] != found[path]
    ]
