"""Bytes copied sixteen at a time: a loop over single ones costs more than ids and short texts are long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

PIECE = 16
"""Bytes of a piece. Whoever copies one needs as much room behind what is to be kept of it."""

_QUOTE, _BACKSLASH = 0x22, 0x5C


def _copy_piece(typing: Any, out: Any, to: Any, data: Any, start: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, piece = ir.IntType(8), ir.VectorType(ir.IntType(8), PIECE)

        def place(array: int, at: int) -> Any:
            found = context.make_array(signature.args[array])(context, builder, arguments[array]).data
            first = builder.gep(builder.bitcast(found, byte.as_pointer()), [arguments[at]])
            return builder.bitcast(first, piece.as_pointer())

        read = builder.load(place(2, 3))
        read.align = 1
        builder.store(read, place(0, 1)).align = 1
        found = [
            builder.icmp_unsigned("==", read, ir.Constant(piece, [value] * PIECE))
            for value in (_QUOTE, _BACKSLASH)
        ]
        bits = builder.bitcast(builder.or_(*found), ir.IntType(PIECE))
        return builder.zext(bits, ir.IntType(64))

    return types.int64(out, types.int64, data, types.int64), generate


copy_piece = cast(Callable[[NDArray[np.uint8], int, NDArray[np.uint8], int], int], intrinsic(_copy_piece))
"""``copy_piece(out, to, data, start)`` writes ``data[start:start + 16]`` to `out` at `to`, and returns, as
bits, which of these bytes JSON has to escape: quotes and backslashes. For kernels only: nothing checks that
either has room."""
