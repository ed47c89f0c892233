// See columns.inl; with the instruction of VBMI2 that moves the bytes of a mask together, where the machine has it. Included
// in the unnamed namespace of each target file.

#define FEWBIT_OWN_RUNS

__attribute__((target("avx512vbmi2"))) inline void compress_runs(const ColumnGather& job) {
    for (int64_t n = 0; n < job.count; ++n) {
        const int8_t* x = job.x + job.starts[n];
        int8_t* y = job.y + n * job.stride;
        for (const ColumnRun* run = job.runs; run != job.runs + job.run_count; ++run)
            _mm512_storeu_si512(y + run->to,
                                _mm512_maskz_compress_epi8(run->kept, _mm512_loadu_si512(x + run->from)));
    }
}

bool gather_runs(const ColumnGather& job) {
    static const bool compresses = __builtin_cpu_supports("avx512vbmi2");
    if (compresses) compress_runs(job);
    return compresses;
}
