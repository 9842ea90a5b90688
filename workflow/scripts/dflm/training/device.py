"""Where and how precisely a training runs."""

import ctypes
import logging
import os
from contextlib import AbstractContextManager

import torch

from dflm.training.gpu_share import share_gpu

log = logging.getLogger(__name__)

# Rows that fill 95 % of a big GPU's 132 multiprocessors, and a bound on their memory.
FILLING_ROWS, FILLING_BASES = 2560, 2560 * 128
# Of a GPU's memory for each base that is read at once: twice what one takes at full size.
ALLOWED_FOR_BASE = 64 * 1024

# Without it cuBLAS and cuDNN's recurrent layers may sum in another order at the next run. It is
# the workspace that Hopper GPUs have anyway.
REPRODUCIBLE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}

# Set by the workflow from its key `deterministic`: every job of a run gets it, whatever starts it.
DETERMINISTIC = "DFLM_DETERMINISTIC"


def pick_device(
    gpu: int, threads: int, gpu_share: int | None = None, device: int | None = None
) -> torch.device:
    """Return the device of a job, set its CPU threads and what makes a GPU repeat itself.

    Parameters
    ----------
    gpu : int >= 0
        GPUs that the job was given.
    threads : int >= 1
        CPU threads that the job was given.
    gpu_share : int, 1 to 100, optional
        Percent of a GPU that the job was given, see `dflm.training.gpu_share.share_gpu`; without
        it the device is the one that torch has as its current one.
    device : int, optional
        Which of the GPUs it is a share of; the least used one when not given.

    Returns
    -------
    torch.device
        CUDA when the job was given a GPU and one is there, else the CPU, with a warning when
        that is not what was asked for.
    """
    torch.set_num_threads(max(1, threads))
    settle_kernels()
    for name, value in REPRODUCIBLE.items():
        os.environ.setdefault(name, value)
    on_gpu = gpu >= 1 and torch.cuda.is_available()
    use_deterministic(on_gpu and os.environ.get(DETERMINISTIC) == "1")
    if on_gpu:
        # Float32 products are float32: with TF32 cuDNN would round their factors to 10 bits. Of
        # its recurrent layers: dflm.model.layers.
        torch.backends.cudnn.conv.fp32_precision = "ieee"
        if gpu_share is not None:
            share_gpu(gpu_share, device)
        device = torch.device("cuda", torch.cuda.current_device())
        log.info("training on %s%s", torch.cuda.get_device_name(device), _HOW[deterministic()])
        return device
    if gpu >= 1:
        # Whether driver, build or cluster is to blame can be told by these two.
        log.warning(
            "the job was given a GPU, but torch finds none: training on the CPU "
            "(CUDA_VISIBLE_DEVICES is %s, torch is built %s)",
            os.environ.get("CUDA_VISIBLE_DEVICES", "not set"),
            f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA",
        )
    keep_freed_memory()
    log.info("CPU, %d threads", torch.get_num_threads())
    return torch.device("cpu")


def settle_kernels() -> None:
    """Let MKL choose the kernels of its vector functions before several threads ask for them.

    It chooses at the first call. Where two threads make that one together, one of them may get a
    kernel of lower precision for its share (relative error 3e-4): the first AdamW step of a
    process would come out otherwise in one process out of ten. A number alone is one thread's.

    References
    ----------
    https://github.com/pytorch/pytorch/issues/188792
    """
    for dtype in (torch.float32, torch.float64):
        number = torch.full((1,), 0.5, dtype=dtype)
        for function in (torch.sqrt, torch.exp, torch.log, torch.log1p, torch.tanh, torch.erf):
            function(number)


_HOW = {False: "", True: ", deterministic algorithms where there are any"}


def deterministic() -> bool:
    """Return whether torch takes the algorithms only that give the same bits at every run."""
    return torch.are_deterministic_algorithms_enabled()


def use_deterministic(on: bool) -> None:
    """Let torch take only algorithms that give the same bits at every run, or any.

    An operation that has none runs all the same and warns. The CPU's are all of that kind.

    Parameters
    ----------
    on : bool
    """
    if on == deterministic():
        return  # the setter imports torch's compiler, which takes seconds
    torch.use_deterministic_algorithms(on, warn_only=on)
    # Memory is filled before it is used for the sake of programs that read what they never wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False  # it takes whichever kernel was the faster just now


def keep_freed_memory() -> bool:
    """Let the C library keep memory that was freed, for the next step; return whether it will.

    A window's activations are blocks of tens of MB, which glibc by default asks of the system and
    gives back at every step: up to a fifth of the time goes into fresh pages. Memory's peak may
    be a third higher, since blocks of one size leave gaps for those of another. No result
    depends on it. A C library without these settings (musl, macOS) is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # M_MMAP_THRESHOLD of malloc.h, for which older ones take 32 MiB at most, and M_TRIM_THRESHOLD.
    larger = mallopt(-3, 2**30) or mallopt(-3, 2**25)
    return bool(mallopt(-1, 2**31 - 1) and larger)


def lower_precision(device: torch.device, precision: str) -> bool:
    """Return whether matrix products run in bfloat16.

    Parameters
    ----------
    device : torch.device
    precision : {"auto", "fp32", "bf16"}
        "auto" is bfloat16 where the hardware is faster in it.
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Intel's processors have half the rate of float32 in it, but for their tiles (AMX), which
    # virtual machines often hide; AMD's have twice the rate.
    has = torch.cpu.get_capabilities()
    intel = str(has.get("cpu_name", "")).startswith("Intel")
    return bool(has.get("amx_bf16") or (has.get("avx512_bf16") and not intel))


def told_of(device: torch.device, precision: str) -> dict[str, object]:
    """Return what a model's card tells of where it was trained, as far as its bytes rest on it.

    Parameters
    ----------
    device : torch.device
    precision : {"auto", "fp32", "bf16"}

    Returns
    -------
    dict
        ``device``, its type; ``processor``, the instructions that torch's kernels are chosen by, or
        the name of the GPU; ``threads`` of the CPU; ``bf16``, whether products ran in it; of a
        GPU, ``deterministic``, see `use_deterministic`.
    """
    if device.type == "cuda":
        processor = torch.cuda.get_device_name(device)
    else:
        processor = torch.backends.cpu.get_cpu_capability()
    told = {
        "device": device.type,
        "processor": processor,
        "threads": torch.get_num_threads(),
        "bf16": lower_precision(device, precision),
    }
    return told | ({"deterministic": deterministic()} if device.type == "cuda" else {})


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Return the context in which forward passes run; weights and losses stay float32.

    Casts are not cached: each weight is cast once a pass anyway, and a copy that outlived a pass
    would be missing from a recorded one.
    """
    return torch.autocast(
        device.type,
        torch.bfloat16,
        enabled=lower_precision(device, precision),
        cache_enabled=False,
    )


def inference_batch(device: torch.device, batch_size: int, width: int) -> int:
    """Return how many sequences to read at once where no gradient is needed.

    Parameters
    ----------
    device : torch.device
    batch_size : int >= 1
        What was asked for.
    width : int >= 1
        Bases of a sequence.

    Returns
    -------
    int
        `batch_size`, or on a GPU as many more as fill it and its memory, or the share of it that
        this process may take, allows: results do not depend on it.
    """
    if device.type != "cuda":
        return batch_size
    whole = torch.cuda.get_device_properties(device).total_memory
    allowed = whole * torch.cuda.get_per_process_memory_fraction(device)
    bases = min(FILLING_BASES, int(allowed) // ALLOWED_FOR_BASE)
    return max(batch_size, min(FILLING_ROWS, bases // width))
