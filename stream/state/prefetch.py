"""Asking for memory before it is read, so that several misses are waited for together."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LINE_BYTES = 64
"""A line of the cache. Where it is longer, some lines are asked for twice, which costs next to nothing."""

_READ, _KEEP, _DATA = 0, 3, 1
"""Arguments of LLVM's instruction: to be read, kept in all levels of the cache, no code."""


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing: Any, rows: Any, number: Any, byte: Any) -> Any:
    """Ask for the line with byte `byte` of ``rows[number]``, without waiting for it. For kernels only.

    The number may be anything: an address that is not there is left alone by the processor.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        at = builder.add(builder.mul(arguments[1], array.itemsize), arguments[2])
        line = builder.gep(builder.bitcast(array.data, ir.IntType(8).as_pointer()), [at])
        number_type = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [line.type, number_type, number_type, number_type])
        name = "llvm.prefetch.p0i8" if str(line.type) == "i8*" else "llvm.prefetch.p0"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        builder.call(function, [line, *(number_type(value) for value in (_READ, _KEEP, _DATA))])
        return context.get_dummy_value()

    return types.void(rows, types.int64, types.int64), generate
