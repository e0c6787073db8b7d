"""A cluster of Dask, by the address of its scheduler, as an executor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from gradlab.errors import UsageError

PATIENCE = 10.0  # seconds in which a scheduler answers
FAREWELL = 5.0  # seconds in which it hears that nothing more is wanted


@contextmanager
def cluster(address: str, note: Callable[[str], None]) -> Iterator[Executor]:
    """Connect with a scheduler; what is left of the tasks is cancelled at the end.

    Parameters
    ----------
    address : str
        Such as ``tcp://10.0.0.1:8786``.
    note : callable
        Called with a sentence when there are no workers yet.

    Raises
    ------
    UsageError
        When distributed is not installed, or no scheduler answers.
    """
    try:
        import cloudpickle  # noqa: F401 - or the first rule would be refused
        from distributed import Client
        from distributed.comm import connect
    except ImportError as error:
        raise UsageError(
            f"--dask needs {error.name}, which is not installed: pip install 'gradlab-verify[dask]'"
        ) from error

    async def knock() -> None:
        comm = await connect(address, timeout=PATIENCE)
        await comm.close()

    try:
        asyncio.run(knock())  # a client that fails to connect says more than one wants to hear
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"no scheduler of Dask answers at {address!r} ({why}); expected its address, such as "
            "tcp://10.0.0.1:8786"
        ) from error
    try:
        if not client.nthreads():
            note(f"the scheduler at {address} has no workers yet; rules wait for them")
        yield client.get_executor()
    finally:
        client.close(timeout=FAREWELL)
