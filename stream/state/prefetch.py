"""Asking for memory before it is read, so that several misses are waited for together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

LINE_BYTES = 64
"""A line of the cache. Where it is longer, some lines are asked for twice, which costs next to nothing."""

_READ, _KEEP, _DATA = 0, 3, 1
"""Arguments of LLVM's instruction: to be read, kept in all levels of the cache, no code."""


def _prefetch(typing: Any, rows: Any, number: Any, byte: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        at = builder.add(builder.mul(arguments[1], array.itemsize), arguments[2])
        line = builder.gep(builder.bitcast(array.data, ir.IntType(8).as_pointer()), [at])
        number_type = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [line.type, number_type, number_type, number_type])
        name = "llvm.prefetch.p0i8" if str(line.type) == "i8*" else "llvm.prefetch.p0"
        function = cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]
        builder.call(function, [line, *(number_type(value) for value in (_READ, _KEEP, _DATA))])
        return context.get_dummy_value()

    return types.void(rows, types.int64, types.int64), generate


prefetch = cast(Callable[[NDArray[Any], int | np.int64, int], None], intrinsic(_prefetch))
"""``prefetch(rows, number, byte)`` asks for the line with byte `byte` of ``rows[number]`` and does not wait
for it. For kernels only. The number may be anything: an address that is not there is left alone."""
