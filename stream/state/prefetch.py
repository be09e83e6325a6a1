"""Telling the processor what will be read soon, so that it is there by then.

Tables are hundreds of megabytes, rows are read at random, and one read from main memory takes as long as a
hundred additions: without this two thirds of the time of a list is waiting. A kernel that knows which rows
come next asks for them before it works on the one at hand. Nothing is read: an address may be any.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from stream.state.jit import kernel

LINE = 64
"""Bytes that come at once."""

_READ, _KEEP, _DATA = 0, 3, 1


@intrinsic  # type: ignore[untyped-decorator]
def _ask(typing: Any, array: Any, index: Any, offset: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        table = context.make_array(signature.args[0])(context, builder, arguments[0])
        start = builder.ptrtoint(table.data, ir.IntType(64))
        row = builder.mul(arguments[1], table.itemsize)
        address = builder.add(builder.add(start, row), arguments[2])
        byte = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        )
        how = [ir.Constant(number, what) for what in (_READ, _KEEP, _DATA)]
        builder.call(prefetch, [builder.inttoptr(address, byte), *how])
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@kernel
def prefetch(rows: NDArray[Any], index: int, first: int, stop: int) -> None:
    """Ask for bytes `first` to `stop` of ``rows[index]``: about 1 ns for each `LINE` of them."""
    for offset in range(first, stop, LINE):
        _ask(rows, index, offset)
