"""Loops written in LLVM's own terms, eight numbers at once in the registers of one vector unit: every operation in the order given.

The eight output cells are stepped through every epoch, and each step waits for the division of the one before. Numba turns a loop
over eight array elements into loads and stores that take longer than the arithmetic; here the state of the cells stays in registers
until one of them spikes. Strengths are scaled and added up in 32 partial sums, an order that a compiler may choose only if it may
choose any. Any processor will do and gives the same bits; LLVM splits the vectors as needed.
"""

from functools import reduce

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

LANES = 8
SUMS = 4  # vectors of partial sums; one alone would wait for its additions
TOGETHER = 2  # vectors of cells of which the polynomials are computed at once, because each waits for its last operation
POLYNOMIAL = 9  # coefficients
NO_PULSE = 1e-200  # see decay_lanes
ROWS = ("V", "V_1", "V_2", "u", "x")

_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
# The cells are stepped as two vectors: where a division of eight numbers takes longer than one of four, two of four do not.
HALF = 4
_HALF = ir.VectorType(ir.DoubleType(), HALF)
_INT = ir.IntType(64)


def _constant(value: float, vector: ir.VectorType = _VECTOR) -> ir.Constant:
    return ir.Constant(vector, [value] * vector.count)


def _splat(builder, scalar, vector: ir.VectorType = _VECTOR):
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count))


def _map(builder, V, V_2, u, x, alpha, beta_e, mu, mu_sigma, decay, all_below=False):
    """One step: new V, u, x and which cells spiked; the arithmetic is that of models/cpp/cell.h, in the same order.

    `all_below`: V <= 0 is known of all cells, none can spike.
    """
    zero, one = _constant(0.0, _HALF), _constant(1.0, _HALF)
    w = builder.fadd(u, builder.fmul(beta_e, x))
    subthreshold = builder.fadd(builder.fdiv(alpha, builder.fsub(one, V)), w)
    u_new = builder.fsub(u, builder.fmul(mu, builder.fadd(V, one)))
    u_new = builder.fadd(builder.fadd(u_new, mu_sigma), builder.fmul(mu, x))
    if all_below:
        return subthreshold, u_new, builder.fmul(decay, x), None
    peak = builder.fadd(alpha, w)
    below = builder.fcmp_ordered("<=", V, zero)
    rising = builder.and_(builder.fcmp_ordered("<", V, peak), builder.fcmp_ordered("<=", V_2, zero))
    V_new = builder.select(below, subthreshold, builder.select(rising, peak, _constant(-1.0, _HALF)))
    return V_new, u_new, builder.fmul(decay, x), builder.not_(builder.or_(below, rising))


def _any(builder, masks):
    """Whether a bit is set in one of some vectors of bits."""
    bits = builder.bitcast(reduce(builder.or_, masks), ir.IntType(HALF))
    return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(HALF), 0))


@intrinsic
def advance_lanes(typing_context, cells, steps, alpha, beta_e, mu, mu_sigma, decay):
    """advance_lanes(cells, steps, alpha, beta_e, mu, mu_sigma, decay): step eight cells until one spikes, at most `steps` steps.

    Parameters
    ----------
    cells : (5, 8) float64, C-contiguous
        Rows V, V_1, V_2, u, x; changed.
    steps : int
    alpha, beta_e, mu, mu_sigma, decay : float

    Returns
    -------
    int
        Steps done. A cell spiked at the last of them if its V is -1 and its V_1 positive.
    """
    signature = types.int64(cells, types.int64, *(types.float64,) * 5)
    halves = range(LANES // HALF)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        vectors = builder.bitcast(data, _HALF.as_pointer())
        places = [builder.gep(vectors, [ir.Constant(_INT, k)]) for k in range(len(ROWS) * len(halves))]
        before = [builder.load(place, align=8) for place in places]
        constants = [_splat(builder, scalar, _HALF) for scalar in arguments[2:]]
        steps, zero = arguments[1], ir.Constant(_INT, 0)
        entry = builder.block
        # Two loops: while all cells are below 0, the next V waits for nothing but the map; else for comparisons, too.
        names = ("choose", "rest", "step", "stepped")
        choose, rest, step, stepped = (builder.append_basic_block(name) for name in names)
        builder.cbranch(builder.icmp_signed(">", steps, zero), choose, stepped)
        rows = {}
        for block in (choose, rest, step, stepped):
            builder.position_at_end(block)
            rows[block] = [builder.phi(_HALF) for _ in places] + [builder.phi(_INT)]

        def go_on(source, target, values):
            for phi, value in zip(rows[target], values, strict=True):
                phi.add_incoming(value, source)

        def positive(values):
            return _any(builder, [builder.fcmp_ordered(">", V, _constant(0.0, _HALF)) for V in values[: len(halves)]])

        def stepped_from(values, all_below):
            """Rows after a step, and for each half which cells spiked."""
            V, V_1, V_2, u, x = (values[len(halves) * row :][: len(halves)] for row in range(len(ROWS)))
            new = [_map(builder, V[k], V_2[k], u[k], x[k], *constants, all_below=all_below) for k in halves]
            V_new, u_new, x_new, spiked = zip(*new, strict=True)
            return (*V_new, *V, *V_1, *u_new, *x_new, builder.add(values[-1], ir.Constant(_INT, 1))), spiked

        go_on(entry, choose, (*before, zero))
        go_on(entry, stepped, (*before, zero))

        builder.position_at_end(choose)
        builder.cbranch(positive(rows[choose]), step, rest)
        go_on(choose, step, rows[choose])
        go_on(choose, rest, rows[choose])

        builder.position_at_end(rest)
        after, _ = stepped_from(rows[rest], all_below=True)
        on = builder.append_basic_block("on")
        builder.cbranch(builder.icmp_signed("<", after[-1], steps), on, stepped)
        go_on(rest, stepped, after)
        builder.position_at_end(on)
        builder.cbranch(positive(after), step, rest)
        go_on(on, step, after)
        go_on(on, rest, after)

        builder.position_at_end(step)
        after, spiked = stepped_from(rows[step], all_below=False)
        silent = builder.not_(_any(builder, spiked))
        builder.cbranch(builder.and_(silent, builder.icmp_signed("<", after[-1], steps)), choose, stepped)
        go_on(step, choose, after)
        go_on(step, stepped, after)

        builder.position_at_end(stepped)
        for place, value in zip(places, rows[stepped], strict=False):
            builder.store(value, place, align=8)
        return rows[stepped][-1]

    return signature, generate


@intrinsic
def scale_lanes(typing_context, strengths, factor, low, high, partial):
    """scale_lanes(strengths, factor, low, high, partial): scale strengths and add them up, 32 at a time.

    Parameters
    ----------
    strengths : (n,) float64, C-contiguous
        Each becomes max(strength * factor, low), as far as whole groups of 32 go; the rest is left to the caller.
    factor, low, high : float
    partial : (32,) float64
        Overwritten: partial sum k is of the strengths k, k + 32, k + 64, ...

    Returns
    -------
    int
        How many of them are above `high`.
    """
    signature = types.int64(strengths, types.float64, types.float64, types.float64, partial)

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        sums = context.make_array(signature.args[4])(context, builder, arguments[4])
        vectors, out = (builder.bitcast(data, _VECTOR.as_pointer()) for data in (array.data, sums.data))
        factor, low, high = (_splat(builder, scalar) for scalar in arguments[1:4])
        length = builder.extract_value(array.shape, 0)
        groups = builder.mul(builder.udiv(length, ir.Constant(_INT, LANES * SUMS)), ir.Constant(_INT, SUMS))  # in vectors
        counts = ir.VectorType(_INT, LANES)
        zero, none = ir.Constant(_INT, 0), ir.Constant(counts, [0] * LANES)
        entry = builder.block
        loop, done = builder.append_basic_block("scale"), builder.append_basic_block("scaled")
        builder.cbranch(builder.icmp_unsigned(">", groups, zero), loop, done)

        builder.position_at_end(loop)
        group, large = builder.phi(_INT), builder.phi(counts)
        totals = [builder.phi(_VECTOR) for _ in range(SUMS)]
        for phi, start in zip((group, large, *totals), (zero, none, *(_constant(0.0),) * SUMS), strict=True):
            phi.add_incoming(start, entry)
        added, too_large = [], large
        for k, total in enumerate(totals):
            place = builder.gep(vectors, [builder.add(group, ir.Constant(_INT, k))])
            scaled = builder.fmul(builder.load(place, align=8), factor)
            scaled = builder.select(builder.fcmp_ordered(">", scaled, low), scaled, low)
            builder.store(scaled, place, align=8)
            added.append(builder.fadd(total, scaled))
            too_large = builder.add(too_large, builder.zext(builder.fcmp_ordered(">", scaled, high), counts))
        after = builder.add(group, ir.Constant(_INT, SUMS))
        for phi, value in zip((group, large, *totals), (after, too_large, *added), strict=True):
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_unsigned("<", after, groups), loop, done)

        builder.position_at_end(done)
        ends = [builder.phi(counts)] + [builder.phi(_VECTOR) for _ in range(SUMS)]
        for phi, start, end in zip(ends, (none, *(_constant(0.0),) * SUMS), (too_large, *added), strict=True):
            phi.add_incoming(start, entry)
            phi.add_incoming(end, loop)
        for k, end in enumerate(ends[1:]):
            builder.store(end, builder.gep(out, [ir.Constant(_INT, k)]), align=8)
        n = zero
        for lane in range(LANES):
            n = builder.add(n, builder.extract_element(ends[0], ir.Constant(ir.IntType(32), lane)))
        return n

    return signature, generate


@intrinsic
def decay_lanes(typing_context, V, u, x, pulse, V_bulk, u_bulk, way, scale, rest_x, V_rest, u_rest):
    """decay_lanes(V, u, x, pulse, V_bulk, u_bulk, way, scale, rest_x, V_rest, u_rest): cells at the end of an epoch, 16 at a time.

    V and u become polynomials in pulse * scale plus what is left of their distances from rest and of x; x becomes pulse * rest_x.
    Pulses and x below `NO_PULSE` count as 0 in V and u, which does not change a bit of these: multiplying subnormal numbers takes
    a processor a hundred times as long as others, and cells that are not reached for 80 epochs have such.

    Parameters
    ----------
    V, u, x : (n,) float64, C-contiguous
        Changed, as far as whole groups of 16 go; the rest is left to the caller.
    pulse : (n,) float64, C-contiguous
    V_bulk, u_bulk : (DEGREE + 1,) float64
        Coefficients, highest first.
    way : (2, 3) float64
        V and u (minus rest) at the end as a linear function of V, u (minus rest) and x.
    scale, rest_x, V_rest, u_rest : float
    """
    signature = types.void(V, u, x, pulse, V_bulk, u_bulk, way, *(types.float64,) * 4)

    def generate(context, builder, signature, arguments):
        arrays = [
            context.make_array(kind)(context, builder, value) for kind, value in zip(signature.args[:7], arguments[:7], strict=True)
        ]
        vectors = [builder.bitcast(array.data, _VECTOR.as_pointer()) for array in arrays[:4]]

        def constants(array, count):
            places = [builder.gep(array.data, [ir.Constant(_INT, k)]) for k in range(count)]
            return [_splat(builder, builder.load(place)) for place in places]

        polynomials = [constants(array, POLYNOMIAL) for array in arrays[4:6]]
        way = constants(arrays[6], 6)
        fabs = get_or_insert_function(builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), f"llvm.fabs.v{LANES}f64")
        scale, rest_x, V_rest, u_rest = (_splat(builder, scalar) for scalar in arguments[7:])
        length = builder.extract_value(arrays[0].shape, 0)
        groups = builder.mul(builder.udiv(length, ir.Constant(_INT, LANES * TOGETHER)), ir.Constant(_INT, TOGETHER))  # in vectors
        zero = ir.Constant(_INT, 0)
        entry = builder.block
        loop, done = builder.append_basic_block("decay"), builder.append_basic_block("decayed")
        builder.cbranch(builder.icmp_unsigned(">", groups, zero), loop, done)

        builder.position_at_end(loop)
        group = builder.phi(_INT)
        group.add_incoming(zero, entry)
        places = [[builder.gep(row, [builder.add(group, ir.Constant(_INT, k))]) for row in vectors] for k in range(TOGETHER)]
        cells = [[builder.load(place, align=8) for place in of_vector] for of_vector in places]

        def large(value):
            absolute = builder.call(fabs, [value])
            return builder.select(builder.fcmp_ordered(">=", absolute, _constant(NO_PULSE)), value, _constant(0.0))

        y = [builder.fmul(large(pulse), scale) for *_, pulse in cells]
        ends = [[coefficients[0]] * TOGETHER for coefficients in polynomials]
        for power in range(1, POLYNOMIAL):
            for end, coefficients in zip(ends, polynomials, strict=True):
                end[:] = [builder.fmul(value, y[k]) for k, value in enumerate(end)]
                end[:] = [builder.fadd(value, coefficients[power]) for value in end]
        for k, (V, u, x, pulse) in enumerate(cells):
            away = (builder.fsub(V, V_rest), builder.fsub(u, u_rest), large(x))
            for row, end in enumerate(ends):
                value = end[k]
                for share, distance in zip(way[3 * row :], away, strict=False):
                    value = builder.fadd(value, builder.fmul(share, distance))
                builder.store(value, places[k][row], align=8)
            builder.store(builder.fmul(rest_x, pulse), places[k][2], align=8)
        after = builder.add(group, ir.Constant(_INT, TOGETHER))
        group.add_incoming(after, loop)
        builder.cbranch(builder.icmp_unsigned("<", after, groups), loop, done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, generate
