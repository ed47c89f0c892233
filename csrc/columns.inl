// Bytes of windows that kept columns read, gathered into rows; see kept_columns.h. Included in the unnamed namespace of each
// target file. A target may bring, with FEWBIT_OWN_ORDERS and FEWBIT_OWN_RUNS, faster forms of
//
//   move_bytes(x, order, y)  y[i] = x[order[i]], 16 bytes
//   gather_runs(job)         the whole work, by runs; false where this machine cannot

#ifndef FEWBIT_OWN_ORDERS
inline void move_bytes(const int8_t* x, const uint8_t* order, int8_t* y) {
    for (int64_t i = 0; i < kPieceBytes; ++i) y[i] = x[order[i]];
}
#endif

// A piece writes sixteen bytes, of which the next one overwrites those that are not kept.
void gather_columns(const ColumnGather& job) {
#ifdef FEWBIT_OWN_RUNS
    if (gather_runs(job)) return;
#endif
    for (int64_t n = 0; n < job.count; ++n) {
        const int8_t* x = job.x + job.starts[n];
        int8_t* y = job.y + n * job.stride;
        for (const ColumnPiece* piece = job.pieces; piece != job.pieces + job.piece_count; ++piece)
            move_bytes(x + piece->from, piece->order, y + piece->to);
    }
}
