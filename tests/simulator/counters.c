// Counters of the simulated service; see counters.h. Runs on the main thread; owns the calls by imp_uid.
#include "counters.h"

void counters_reset(struct counters *counters)
{
    bool keep_calls = counters->keep_calls;
    counters_cleanup(counters);
    *counters = (struct counters){.keep_calls = keep_calls};
}

void counters_cleanup(struct counters *counters)
{
    tally_cleanup(&counters->calls);
}
