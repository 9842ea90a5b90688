"""Where the files of a ChIP-seq set come from: a folder, a path or an address."""

from __future__ import annotations

import os

from dflm import downloads
from dflm.errors import InputError
from dflm.sequences.archives import MEMBER_LIMIT
from dflm.sequences.chipseq import TEST_ENDING, TRAIN_ENDING, SetFiles, find_sets


def take_set(
    dataset: str,
    out_train: str | os.PathLike,
    out_test: str | os.PathLike,
    *,
    folder: str | os.PathLike | None = None,
    train: str | None = None,
    test: str | None = None,
    train_checksum: str | None = None,
    test_checksum: str | None = None,
) -> None:
    """Bring the two files of a set to where the workflow reads them.

    Parameters
    ----------
    dataset : str
        The set's name.
    out_train, out_test : path-like
        Where the files are to stand; both are copied byte for byte.
    folder : path-like, optional
        Where to look for a file that is not given by itself, see `find_sets`.
    train, test : str, optional
        Path or address (http, https, file) of a file.
    train_checksum, test_checksum : str, optional
        ``sha256:...`` or ``md5:...``, see `dflm.downloads.fetch`.

    Raises
    ------
    InputError
        If a file is nowhere, naming the set; or see `dflm.downloads.fetch`.
    """
    if folder is not None and not (train and test):
        pairs, orphans = find_sets(folder)
        files = pairs.get(dataset) or orphans.get(dataset) or SetFiles(None, None)
        train = train or (str(files.train) if files.train else None)
        test = test or (str(files.test) if files.test else None)
    for kind, ending, source in (("training", TRAIN_ENDING, train), ("test", TEST_ENDING, test)):
        if not source:
            raise InputError(
                f"the set has no {kind} file",
                dataset,
                f"give it in the sheet, or put {dataset}{ending} into {folder or 'a folder'}",
            )
    downloads.fetch(train, out_train, train_checksum, max_bytes=MEMBER_LIMIT)
    downloads.fetch(test, out_test, test_checksum, max_bytes=MEMBER_LIMIT)
