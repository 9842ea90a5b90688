"""Pretraining of the language model on the genome."""

import logging
from dataclasses import asdict
from pathlib import Path

import torch

from dflm.files import sha256_of, write_json
from dflm.model.files import save_model
from dflm.model.language_model import LanguageModel
from dflm.phases import Phases
from dflm.sequences.corpus import Corpus
from dflm.sequences.genome import GenomeIndex
from dflm.training.arguments import LanguageModelArgs
from dflm.training.checkpoint import Checkpoint
from dflm.training.device import pick_device, told_of
from dflm.training.distributed import ALONE, World, seed_of
from dflm.training.history import History
from dflm.training.launch import local_processes, run_together
from dflm.training.loop import PretrainArgs, Pretraining
from dflm.training.shares import SharedStream

log = logging.getLogger(__name__)


def _stream(
    genome: GenomeIndex,
    split: str,
    lm_args: LanguageModelArgs,
    args: PretrainArgs,
    device: torch.device,
    world: World,
) -> SharedStream:
    # Of tokens far apart one N could lie between two, which would be learnt as neighbours.
    gap = max(1, lm_args.stride - lm_args.k + 1)
    corpus = Corpus(genome, split, min_run=lm_args.k, gap=gap)
    stream = SharedStream(
        corpus, lm_args.k, lm_args.stride, args.batch_size, args.bptt, device, world
    )
    log.info("%s: %d tokens in %d streams", split, len(stream), stream.streams)
    return stream


def pretrain(
    *,
    index: Path,
    contigs: Path,
    weights: Path,
    card: Path,
    metrics: Path,
    history: Path,
    checkpoint: Path,
    language_model: dict,
    args: dict,
    seed: int,
    gpu: int,
    threads: int,
    withheld: Path | None = None,
    processes: int = 1,
    nodes: int = 1,
    gpu_share: int = 100,
    world: World | None = None,
) -> None:
    """Pretrain a language model on the training contigs of a sharded genome.

    Parameters
    ----------
    index, contigs : Path
        What `dflm.sequences.genome.shard_genome` wrote.
    weights, card, metrics, history : Path
        Files to write: the model, its last validation, and all validations. `metrics` alone
        differs between two runs, in `seconds`, see `dflm.phases.Phases`: of rank 0, and of a
        resumed run those of all its processes, each up to its last checkpoint.
    checkpoint : Path
        Where the state is kept while the training runs.
    language_model : dict
        See `LanguageModelArgs`.
    args : dict
        See `PretrainArgs`.
    seed : int >= 0
    gpu, threads : int
        What the job was given: GPUs of all nodes, CPU threads of each node. Several GPUs get a
        process each.
    withheld : Path, optional
        What of the genome may not be read, see `dflm.sequences.withholding.withhold_tests`.
    processes : int >= 1
        Processes to train with when it is not on GPUs, on all nodes.
    nodes : int >= 1
        Nodes that the job was given.
    gpu_share : int, 1 to 100
        Percent of each GPU, see `dflm.training.device.pick_device`.
    world : World, optional
        Given to a process that was started to train with others; `gpu` and `threads` are then
        its own.

    Raises
    ------
    InputError
        If an argument is out of range or the genome does not fit its index.
    """
    job, phases = {**locals()}, Phases()
    lm_args, run_args = LanguageModelArgs(**language_model), PretrainArgs(**args)
    genome = GenomeIndex.load(index, contigs, withheld)
    if world is None and nodes * local_processes(gpu, processes, nodes) > 1:
        run_together("dflm.training.pretrain:pretrain", job)
        return
    world = world or ALONE
    with phases("loading"):
        # Of several processes each has had its GPU given.
        own = world.size > 1 and gpu >= 1 and torch.cuda.is_available()
        number = torch.cuda.current_device() if own else None
        device = pick_device(gpu, threads, gpu_share, number)
        torch.manual_seed(seed)
        model = LanguageModel(lm_args.architecture, lm_args.dropouts).to(device).train()
    log.info("%d parameters", sum(p.numel() for p in model.parameters()))
    if world.size > 1:
        log.info("%d processes", world.size)
        torch.manual_seed(seed_of(seed, world.rank))
    with phases("reading"):
        streams = [
            _stream(genome, split, lm_args, run_args, device, world)
            for split in ("train", "validation")
        ]
    run = Pretraining(model, lm_args, run_args, *streams, seed, History(history), world, phases)
    own = asdict(run_args)
    own.pop("checkpoint_minutes")  # which decides nothing of the result
    provenance = {
        "language_model": asdict(lm_args),
        "pretrain": own,
        "seed": seed,
        "genome_index_sha256": sha256_of(index),
        **({} if withheld is None else {"withheld_sha256": sha256_of(withheld)}),
    }
    where = told_of(device, run_args.precision) | {"processes": world.size}
    saved = Checkpoint(checkpoint, provenance, world, where)
    if (state := saved.load()) is not None:
        run.load_state_dict(state)
    score = run.run(saved)
    if not world.leads:
        return
    result = {
        **score,
        "optimizer": run_args.optimizer,
        "epochs": run_args.epochs,
        "steps": run.at.steps,
        "train_tokens": len(run.train),
        **saved.told,
        "averaged": run.averaged is not None and run.averaged.has_average,
    }
    training = {"stage": "pretrain", **provenance}
    with phases("writing"):
        save_model(model, weights, card, training=training, metrics=result)
    write_json(metrics, {**result, "seconds": phases.as_dict()})
    saved.remove()
